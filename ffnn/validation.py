"""Validation: data that is not trained on, looked at after each epoch; and when to stop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from ffnn.builder import Array, Model
from ffnn.exceptions import TrainingDivergedError
from ffnn.listeners import Listener
from ffnn.network import Network
from ffnn.ops import NumpyOps
from ffnn.parameters import unknown_name

if TYPE_CHECKING:
    from ffnn.base import BaseMLP
    from ffnn.settings import Settings

__all__ = ["EarlyStopping", "Held", "Settling", "Validation", "Watch", "check_scorer", "split"]

Scorer = Callable[..., float]


@dataclass(frozen=True)
class Held:
    """The validation data that a user gave."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None

    @property
    def given(self) -> bool:
        """Whether there is any.

        Raises
        ------
        ValueError
            If only a part of it is there.
        """
        if (self.X is None) != (self.y is None) or (self.X is None and self.sample_weight is not None):
            have = [name for name in ("X", "y", "sample_weight") if getattr(self, name) is not None]
            raise ValueError(f"X_val and y_val belong together; got {' and '.join(f'{n}_val' for n in have)} alone.")
        return self.X is not None


@dataclass(frozen=True)
class Validation:
    """The data, as the estimator validated it, and what is measured on it.

    Parameters
    ----------
    X, y : array or sparse matrix
        Samples and targets.
    weight : float64 ndarray of shape (n_samples,)
        The weight of each in the loss.
    sample_weight : ndarray or None
        The weights that the user gave, for the scorer.
    scorer : callable or None
        scikit-learn's scorer; None measures the loss alone.
    """

    X: Any
    y: Any
    weight: Array
    sample_weight: Array | None
    scorer: Scorer | None

    def loss(self, model: Model, network: Network) -> float:
        """Return the weighted mean loss, without dropout and without the penalty of weight decay."""
        scores = model.forward(network.input.prepare(self.X, network.dtype)).astype(np.float64)
        targets = network.output.encode(self.y, "float64")
        with np.errstate(over="ignore", invalid="ignore"):  # whoever asks looks at the result
            total, weight = network.output.loss(NumpyOps(), scores, targets, self.weight)
        return float(total) / max(float(weight), np.finfo(np.float64).tiny)

    def score(self, estimator: BaseMLP) -> float:
        """Return the scorer's verdict."""
        assert self.scorer is not None
        # the data is what the estimator has made of the user's: without names, of its own dtype
        probe = copy.copy(estimator)
        probe.__dict__.pop("feature_names_in_", None)
        weights = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        return float(self.scorer(probe, self.X, self.y, **weights))


class EarlyStopping:
    """Watches a number that should grow, and says when it has not for too long.

    Parameters
    ----------
    patience : int
        The epochs without an improvement after which training stops.
    tol : float
        What counts as an improvement on the best so far.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self._patience = patience
        self._tol = tol
        self._without = 0
        self.best = -np.inf
        self.best_epoch = -1

    def update(self, epoch: int, value: float) -> tuple[bool, bool]:
        """Take an epoch's value; return whether it is the best so far, and whether to stop."""
        self._without = 0 if value >= self.best + self._tol and value > self.best else self._without + 1
        better = value > self.best
        if better:
            self.best, self.best_epoch = value, epoch
        return better, self._without >= self._patience


class Watch(Listener):
    """Looks at the validation data after each epoch, and remembers the best one.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Gets the curves, and the number of the best epoch.
    validation : Validation or None
        The data; without any, nothing happens.
    settings : Settings
        Says when to stop, and whether to go back to the best epoch then.
    model : Model
        What is trained.
    advise : callable
        Returns what to do where the validation loss is not finite.
    """

    def __init__(
        self,
        estimator: BaseMLP,
        validation: Validation | None,
        settings: Settings,
        model: Model,
        advise: Callable[[], str],
    ) -> None:
        self._estimator = estimator
        self._validation = validation
        self._model = model
        self._advise = advise
        self._stopping = EarlyStopping(settings.n_iter_no_change, settings.tol)
        self._restores = settings.early_stopping is True
        self._best: Any = None
        self._last = -1

    def begin(self) -> None:
        """Begin the curves."""
        if self._validation is not None:
            self._estimator.__dict__.setdefault("validation_loss_curve_", [])
            if self._validation.scorer is not None:
                self._estimator.__dict__.setdefault("validation_scores_", [])

    def close(self) -> None:
        """Let go of the data."""
        self._validation = None

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Measure an epoch, add that to its figures, and return whether to stop."""
        validation, estimator = self._validation, self._estimator
        if validation is None:
            return False
        loss = stats["validation_loss"] = validation.loss(self._model, estimator.network_)
        if not np.isfinite(loss):
            raise TrainingDivergedError(f"The validation loss became {loss} in epoch {epoch}. {self._advise()}")
        estimator.validation_loss_curve_.append(loss)
        value = -loss
        if validation.scorer is not None:
            value = stats["validation_score"] = validation.score(estimator)
            estimator.validation_scores_.append(value)
        better, stop = self._stopping.update(epoch, value)
        self._last = epoch
        if better:
            estimator.best_epoch_ = epoch
            if self._restores:
                self._best = None  # not two of them at a time
                self._best = self._model.get_state()
        return stop and self._restores

    def restore(self) -> None:
        """Go back to the best epoch, if that is what early stopping does."""
        if self._best is not None and self._stopping.best_epoch != self._last:
            self._model.set_state(self._best)


class Settling(Listener):
    """Stops a training whose own loss falls no more, as scikit-learn's networks do.

    Parameters
    ----------
    settings : Settings
        Says whether to, and after how many epochs without how large a fall.
    """

    def __init__(self, settings: Settings) -> None:
        self._stopping = EarlyStopping(settings.n_iter_no_change, settings.tol)
        self._stops = settings.early_stopping == "training"

    def close(self) -> None:
        """Let go of the data."""
        self._validation = None

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Return whether the loss has settled."""
        return self._stops and self._stopping.update(epoch, -stats["loss"])[1]


def check_scorer(value: Any) -> None:
    """Refuse a ``scoring`` that is neither "loss", a scorer's name, nor a callable.

    Raises
    ------
    TypeError, ValueError
        That names the nearest scorers.
    """
    if callable(value):
        return
    if not isinstance(value, str):
        raise TypeError(
            f"scoring={value!r}: expected 'loss', a scikit-learn scorer's name, or a scorer; "
            f"got {type(value).__name__}."
        )
    if value != "loss" and value not in get_scorer_names():
        raise unknown_name("scoring", value, ["loss", *get_scorer_names()], "a scorer such as make_scorer returns")


def scorer_of(estimator: BaseMLP) -> Scorer | None:
    """Return the estimator's scorer; None for the loss."""
    scoring: Any = estimator.scoring
    return None if isinstance(scoring, str) and scoring == "loss" else check_scoring(estimator, scoring)


def split(estimator: BaseMLP, X: Any, y: Any, weight: Array, seed: int) -> tuple[Array, Array]:
    """Split the rows into those to train on and those to validate on: a function of the seed.

    Labels of one class a row are split so that each class keeps its share.

    Raises
    ------
    ValueError
        If there are too few rows, or too few of a class.
    """
    fraction = float(estimator.validation_fraction)
    labels = estimator._estimator_type_name() == "classifier" and getattr(y, "ndim", 2) == 1
    rows = np.arange(X.shape[0])
    try:
        train, test = train_test_split(
            rows, test_size=fraction, random_state=seed, stratify=_safe_indexing(y, rows) if labels else None
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction:g} cannot split these {len(rows)} samples: "
            f"{error} Raise validation_fraction, pass X_val and y_val, or set early_stopping=False."
        ) from None
    if not np.any(weight[train]) or not np.any(weight[test]):
        raise ValueError(
            "early_stopping=True: the samples that were set apart, or those that are left, have only weights of zero. "
            "Raise validation_fraction, or pass X_val and y_val."
        )
    return np.sort(train), np.sort(test)
