"""The data of a call of ``fit`` or ``partial_fit``: validated, split, and weighed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from sklearn.utils.validation import check_consistent_length

from ffnn._utils._private import safe_indexing
from ffnn.estimator.fitted import Fitted
from ffnn.estimator.settings import Settings, root_seed
from ffnn.model import Array
from ffnn.network import Network
from ffnn.output import Output
from ffnn.training.epochs import check_finite_targets
from ffnn.training.scorers import scorer_of
from ffnn.training.validation import Held, Validation, split
from ffnn.training.weights import check_taught, check_weight, near_one, relative, warn_of_untaught

__all__ = ["Arguments", "Data", "Draft"]


class Draft(Protocol):
    """The estimator, as a fit needs it: its checks of data, and what its kind learns of an output."""

    network_: Network
    random_state: Any
    n_iter_: int
    builder_: str
    _fitted: Fitted

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters."""
        ...

    def _validate(self, X: Any, y: Any, dtype: str, *, reset: bool) -> tuple[Any, Any]: ...
    def _checked(self, X: Any, dtype: str, name: str) -> Any: ...
    def _validate_held(self, y_val: Any) -> Any: ...
    def _learned(self, output: Output) -> None: ...
    def _check_classes(self, classes: Any) -> None: ...
    def _check_same_classes(self, y: Any) -> None: ...
    def _estimator_type_name(self) -> str: ...


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call of ``fit`` or, where ``partial``, of ``partial_fit``."""

    X: Any
    y: Any
    sample_weight: Any = None
    held: Held = field(default_factory=Held)
    classes: Any = None
    monitor: Callable[..., Any] | None = None
    partial: bool = False


@dataclass(frozen=True)
class Data:
    """The validated data of a call.

    Parameters
    ----------
    X, y : array or sparse matrix
        All samples and targets.
    weight : float64 ndarray of shape (n_samples,)
        What each counts in the loss.
    rows : integer ndarray
        The rows that validation leaves to train on.
    validation : Validation or None
        The validation data.
    """

    X: Any
    y: Any
    weight: Array
    rows: Array
    validation: Validation | None

    @classmethod
    def of(cls, draft: Draft, settings: Settings, given: Arguments, dtype: str, *, reset: bool) -> Data:
        """Validate the data, and set apart the validation's; ``reset`` where the estimator is to learn X's form."""
        held, has_held = given.held, given.held.given
        X, y = draft._validate(given.X, given.y, dtype, reset=reset)
        weight = near_one(check_weight(given.sample_weight, X))
        rows, validation = np.arange(X.shape[0]), None
        scorer = scorer_of(draft, settings.scoring)
        if has_held:
            X_val = draft._checked(held.X, dtype, "X_val")
            y_val = draft._validate_held(held.y)
            check_consistent_length(X_val, y_val)
            weight_val = check_weight(held.sample_weight, X_val)
            scored = None if held.sample_weight is None else weight_val
            validation = Validation(X_val, y_val, near_one(weight_val), scored, scorer, settings.scoring)
        elif settings.early_stopping is True:
            labels = draft._estimator_type_name() == "classifier" and getattr(y, "ndim", 2) == 1
            seed = root_seed(copy.copy(draft.random_state))
            rows, test = split(y, weight, settings.validation_fraction, seed, stratify=labels)
            scored = None if given.sample_weight is None else check_weight(given.sample_weight, X)[test]
            validation = Validation(
                safe_indexing(X, test), safe_indexing(y, test), weight[test], scored, scorer, settings.scoring
            )
        return cls(X, y, weight, rows, validation)

    def checked_targets(self, network: Network, targets: Array, order: Array) -> dict[str, Any]:
        """Refuse targets that are not finite once encoded; return what may be too large where a training diverges.

        Parameters
        ----------
        network : Network
            Encodes the validation's targets.
        targets : ndarray of shape (n_samples, ...)
            The encoded targets.
        order : integer ndarray
            The rows to train on.
        """
        check_finite_targets("y", targets, order)
        sizes = {"X": self.X, "the standardised y": targets}
        held = self.validation
        if held is not None:
            encoded = network.output.encode(held.y, network.dtype)
            check_finite_targets("the validation data's y", encoded, slice(None))
            sizes |= {"the validation data's X": held.X, "its standardised y": encoded}
        return sizes

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Everything that the training and the validation see."""
        held = self.validation
        return self.X, self.y, self.weight, self.rows, *(() if held is None else (held.X, held.y, held.weight))

    @property
    def training_targets(self) -> tuple[Any, Array]:
        """The targets, and the weights, of the rows to train on."""
        if len(self.rows) == len(self.weight):
            return self.y, self.weight
        return safe_indexing(self.y, self.rows), self.weight[self.rows]

    def balanced(self, output: Output, class_weight: Any, *, partial: bool) -> Data:
        """Return the data with each sample, or each label of it, weighed by its class."""
        if partial and isinstance(class_weight, str):
            raise ValueError(
                f"class_weight={class_weight!r} needs all the data, which partial_fit does not see. Give the weights: "
                "class_weight=dict(zip(classes, sklearn.utils.class_weight.compute_class_weight('balanced', ...)))."
            )
        output.balance(class_weight, *self.training_targets)
        if class_weight is None:
            return self
        validation = self.validation
        if validation is not None:
            validation = replace(validation, weight=output.weigh(validation.y, validation.weight))
        return replace(self, weight=output.weigh(self.y, self.weight), validation=validation)

    def normalized(self, output: Output, class_weight: Any, *, partial: bool) -> tuple[Data, Array]:
        """Return the data with weights of mean 1, and the rows of positive weight, the only ones to train on."""
        order = self.rows[self.weight[self.rows] > 0]
        if not len(order):  # weights of zero alone were refused before the classes had weights
            raise ValueError(
                f"class_weight={class_weight!r}, times sample_weight, gives none of the {len(self.rows)} samples "
                "to train on a positive weight. Weigh one of their classes, or leave out the call."
            )
        data = replace(self, weight=relative(self.weight, order))
        taught = check_taught("y", output, data.y, data.weight, class_weight)
        if not partial:  # another call may bring the rest
            warn_of_untaught(taught)
        if data.validation is not None:
            check_taught("The validation data", output, data.validation.y, data.validation.weight, class_weight)
        return data, order.astype(np.int32 if len(data.weight) < 2**31 else np.int64)
