"""Validation: data that is not trained on and is measured after each epoch."""

from __future__ import annotations

import contextlib
import copy
import numbers
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import UndefinedMetricWarning

from ffnn._utils._private import safe_indexing
from ffnn.exceptions import TrainingDivergedError
from ffnn.model import Array, Model
from ffnn.network import Network
from ffnn.ops import NumpyOps
from ffnn.training.history import History
from ffnn.training.listeners import Listener
from ffnn.training.scorers import Scorer
from ffnn.training.stopping import EarlyStopping

__all__ = ["Held", "Validation", "ValidationListener", "split"]


@dataclass(frozen=True)
class Held:
    """The arguments ``X_val``, ``y_val`` and ``sample_weight_val`` of ``fit``."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None

    @property
    def given(self) -> bool:
        """Whether the user gave validation data.

        Raises
        ------
        ValueError
            If only a part of it was given.
        """
        if (self.X is None) != (self.y is None) or (self.X is None and self.sample_weight is not None):
            have = [name for name in ("X", "y", "sample_weight") if getattr(self, name) is not None]
            raise ValueError(f"X_val and y_val belong together; got {' and '.join(f'{n}_val' for n in have)} alone.")
        return self.X is not None


@dataclass(frozen=True)
class Validation:
    """The validated data, and how it is measured.

    Parameters
    ----------
    X, y : array or sparse matrix
        Samples and targets.
    weight : float64 ndarray of shape (n_samples,)
        The weight of each in the loss.
    sample_weight : ndarray or None
        The user's weights, for the scorer.
    scorer : callable or None
        scikit-learn's scorer; None measures the loss alone.
    scoring : str or callable
        The parameter that named it, for messages.
    """

    X: Any
    y: Any
    weight: Array
    sample_weight: Array | None
    scorer: Scorer | None
    scoring: Any

    def loss(self, model: Model, network: Network) -> float:
        """Return the weighted mean loss, without dropout and without the penalty of weight decay."""
        scores = model.forward(network.input.prepare(self.X, network.dtype)).astype(np.float64)
        targets = network.output.encode(self.y, "float64")
        with np.errstate(over="ignore", invalid="ignore"):  # the caller checks the result
            total, weight = network.output.loss(NumpyOps(), scores, targets, self.weight)
        return float(total) / max(float(weight), np.finfo(np.float64).tiny)

    def score(self, estimator: BaseEstimator) -> float:
        """Return the score."""
        assert self.scorer is not None
        # the data was validated: it has no feature names, and the network's dtype
        probe = copy.copy(estimator)
        probe.__dict__.pop("feature_names_in_", None)
        weights = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        score: Any = self.scorer(probe, self.X, self.y, **weights)
        with contextlib.suppress(AttributeError, ValueError):
            score = score.item()  # of an array of one number, as scikit-learn takes
        if not isinstance(score, numbers.Real):
            raise TypeError(
                f"scoring={self.scoring!r} returned {score!r} for the validation data; expected a number, "
                f"got {type(score).__name__}. Return a float, the greater the better, or name a scikit-learn scorer."
            )
        try:
            return float(score)
        except OverflowError:
            raise ValueError(
                f"scoring={self.scoring!r} returned a number for the validation data that no float can hold. Return a "
                "float, the greater the better, or name a scikit-learn scorer."
            ) from None


class ValidationListener(Listener):
    """Measures the validation data after each epoch, and remembers the best one.

    Parameters
    ----------
    validation : Validation
        The data.
    network : Network
        The description of what is trained.
    model : Model
        The network on its engine.
    history : History
        Gets the curves and the best epoch.
    score : callable or None
        Returns the score of the validation data; None judges by the loss alone.
    stopping : tuple of two EarlyStopping
        When to stop: by the loss, and by the score.
    restores : bool
        Whether to stop at all, and to go back to the best epoch then.
    advise : callable
        Returns the remedy where the validation loss is not finite.
    """

    def __init__(
        self,
        validation: Validation,
        network: Network,
        model: Model,
        history: History,
        *,
        score: Callable[[], float] | None,
        stopping: tuple[EarlyStopping, EarlyStopping],
        restores: bool,
        advise: Callable[[], str],
    ) -> None:
        self._validation: Validation | None = validation
        self._network = network
        self._model = model
        self._history = history
        self._score = score
        self._by_loss, self._by_score = stopping
        self._restores = restores
        self._advise = advise
        self._best: Any = None
        self._best_epoch = self._last = -1
        self._warned = False

    def close(self) -> None:
        """Release the data."""
        self._validation = self._score = None

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Measure an epoch, add its figures to the history, and return whether to stop."""
        history = self._history
        assert self._validation is not None
        assert history.validation_loss is not None  # expected by the fit
        loss = stats["validation_loss"] = self._validation.loss(self._model, self._network)
        if not np.isfinite(loss):
            raise TrainingDivergedError(f"The validation loss became {loss} in epoch {epoch}. {self._advise()}")
        history.validation_loss[-1] = loss
        self._last, judge, value = epoch, self._by_loss, -loss
        if self._score is not None:
            assert history.validation_score is not None  # expected by the fit
            score = stats["validation_score"] = history.validation_score[-1] = self._score()
            if not np.isnan(score):
                judge, value = self._by_score, score
            else:
                self._warn(epoch, self._validation.scoring)
                if self._by_score.best_epoch >= 0:
                    return False
        better, stop = judge.update(epoch, value)
        if better:
            history.best_epoch = self._best_epoch = epoch
            if self._restores:
                self._best = None  # not two of them at a time
                self._best = self._model.get_state()
        return stop and self._restores

    can_go_on = True
    _REMEMBERED = ("_by_loss", "_by_score", "_best", "_best_epoch", "_last", "_warned")

    def memory(self) -> dict[str, Any]:
        """Return the best epoch so far, and how long there was no better one."""
        return {name: getattr(self, name) for name in self._REMEMBERED}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take it over."""
        vars(self).update(memory)

    def restore(self) -> None:
        """Go back to the best epoch, if early stopping is to."""
        if self._best is not None and self._best_epoch != self._last:
            self._model.set_state(self._best)

    def _warn(self, epoch: int, scoring: Any) -> None:
        """Warn once that there is no score."""
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"scoring={scoring!r} is NaN for the validation data, in epoch {epoch}. Until there is a score, the "
                "validation loss says which epoch is best and when to stop; a later epoch without a score counts "
                "neither way. R2 needs two samples at least, an AUC samples of both classes: set more apart by "
                "validation_fraction, pass another X_val and y_val, or use scoring='loss'.",
                UndefinedMetricWarning,
                stacklevel=2,
            )


def split(y: Any, weight: Array, fraction: float, seed: int, *, stratify: bool) -> tuple[Array, Array]:
    """Split the rows into those to train on and those to validate on: a function of the seed.

    Parameters
    ----------
    y : array-like of shape (n_rows, ...)
        The targets.
    weight : ndarray of shape (n_rows,)
        The sample weights.
    fraction : float
        The share of the rows to validate on.
    seed : int
        The seed.
    stratify : bool
        Whether each class of ``y`` keeps its share; the only sample of a class is trained on.

    Raises
    ------
    ValueError
        If there are too few rows, or too few of a class.
    """
    rows, single = np.arange(len(weight)), np.zeros(len(weight), bool)
    if stratify:  # a fold may have one sample of a rare class
        _, places, counts = np.unique(y, return_inverse=True, return_counts=True)
        single = (counts[places] == 1) & (counts.max() > 1)
    from sklearn.model_selection import train_test_split  # and with it searches and metrics, which few fits need

    rest = rows[~single]
    labels = safe_indexing(y, rest) if stratify else None
    try:
        train, test = train_test_split(rest, test_size=fraction, random_state=seed, stratify=labels)
        train = np.concatenate([train, rows[single]])
    except ValueError as error:
        remedy = _remedy(np.zeros(len(rest)) if labels is None else labels, fraction) or str(error)
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction:g} cannot split these {len(rows)} samples: "
            f"{remedy}; or pass X_val and y_val, or set early_stopping=False."
        ) from None
    if not np.any(weight[train]) or not np.any(weight[test]):
        which = "set apart" if np.any(weight[train]) else "left to train on"
        change = "Raise" if np.any(weight[train]) else "Lower"
        remedy = f"{change} validation_fraction, or pass" if np.count_nonzero(weight) > 1 else "Pass"
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction:g}: the samples that are {which} have only "
            f"weights of zero. {remedy} X_val and y_val."
        )
    return np.sort(train), np.sort(test)


def _remedy(y: Array, fraction: float) -> str:
    """Return why samples of these classes cannot be split, and which fraction would do, if one would."""
    classes, counts = np.unique(y, return_counts=True)
    n, k = len(y), len(classes)
    n_test = int(np.ceil(fraction * n))
    if n < 2:
        return "there is one sample. Give more"
    if counts.min() < 2:
        return "there is one sample of each class, which is either trained on or set apart. Give more"
    if n_test < k:
        return f"{n_test} set apart would not have all {k} classes. Raise it to {np.ceil(k / n * 1e4) / 1e4:g}"
    if n - n_test < k:
        of_each = f"would not have all {k} classes" if k > 1 else "are too few"
        return f"{n - n_test} left to train on {of_each}. Lower it to {np.floor((n - k) / n * 1e4) / 1e4:g}"
    return ""
