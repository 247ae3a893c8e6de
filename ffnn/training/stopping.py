"""When to stop: at a number that grows no more, or at a training loss that falls no more."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ffnn.training.listeners import Listener

if TYPE_CHECKING:
    from ffnn.estimator.settings import Settings

__all__ = ["EarlyStopping", "TrainingLossStopping"]


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
        better = value > self.best or self.best_epoch < 0  # the first is the best so far, also where it is -inf
        if better:
            self.best, self.best_epoch = value, epoch
        return better, self._without >= self._patience


class TrainingLossStopping(Listener):
    """Stops a training whose own loss falls no more, as scikit-learn's networks do, and warns where it never does.

    Parameters
    ----------
    settings : Settings
        Says whether to, and after how many epochs without how large a fall.
    epochs : range
        The epochs to come.
    """

    def __init__(self, settings: Settings, epochs: range) -> None:
        self._stopping = EarlyStopping(settings.n_iter_no_change, settings.tol)
        self._stops = settings.early_stopping == "training"
        self._warns = self._stops and settings.solver.stochastic  # L-BFGS says itself whether it has converged
        self._last = epochs.stop - 1
        self._unsettled = False

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Return whether the loss has settled."""
        settled = self._stops and self._stopping.update(epoch, -stats["loss"])[1]
        self._unsettled = epoch == self._last and not settled
        return settled

    def end(self) -> None:
        """Warn if the epochs were too few."""
        if self._warns and self._unsettled:
            warnings.warn(
                f"early_stopping='training': the loss still falls in epoch {self._last}, the last of n_epochs. Raise "
                "n_epochs, learning_rate, or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
