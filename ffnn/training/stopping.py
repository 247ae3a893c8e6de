"""When to stop: where a number no longer grows, or the training loss no longer falls."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ffnn.training.listeners import Listener

__all__ = ["EarlyStopping", "TrainingLossStopping"]


class EarlyStopping:
    """Decides when to stop, by a number that should grow.

    Parameters
    ----------
    patience : int
        The epochs without an improvement after which training stops.
    tol : float
        The smallest improvement on the best so far that counts.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self._patience = patience
        self._tol = tol
        self._without = 0
        self.best: float = -np.inf
        self.best_epoch: int = -1

    def update(self, epoch: int, value: float) -> tuple[bool, bool]:
        """Take an epoch's value; return whether it is the best so far, and whether to stop."""
        self._without = 0 if value >= self.best + self._tol and value > self.best else self._without + 1
        better = value > self.best or self.best_epoch < 0  # the first is the best so far, also where it is -inf
        if better:
            self.best, self.best_epoch = value, epoch
        return better, self._without >= self._patience


class TrainingLossStopping(Listener):
    """Stops a training whose own loss falls no more, as scikit-learn's networks do.

    Parameters
    ----------
    stopping : EarlyStopping
        Decides when.
    epochs : range
        The epochs of this call.
    warns : bool
        Whether to warn where the loss still falls in the last epoch.
    """

    def __init__(self, stopping: EarlyStopping, epochs: range, *, warns: bool) -> None:
        self._stopping = stopping
        self._last = epochs.stop - 1
        self._warns = warns
        self._unsettled = False

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Return whether the loss has settled."""
        settled = self._stopping.update(epoch, -stats["loss"])[1]
        self._unsettled = epoch == self._last and not settled
        return settled

    can_go_on = True

    def memory(self) -> dict[str, Any]:
        """Return the best loss so far, and how long there was no better one."""
        return {"_stopping": self._stopping}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take it over."""
        vars(self).update(memory)

    def end(self) -> None:
        """Warn if the epochs were too few."""
        if self._warns and self._unsettled:
            warnings.warn(
                f"early_stopping='training': the loss still falls in epoch {self._last}, the last of n_epochs. Raise "
                "n_epochs, learning_rate, or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
