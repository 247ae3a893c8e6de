"""The history of a training: its curves, and the best epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CURVES", "History"]

#: The estimator's attributes that get a number in each epoch.
CURVES = ("loss_curve_", "validation_loss_curve_", "validation_scores_")


@dataclass
class History:
    """The curves of a training, one number an epoch; NaN in those of the validation where there was none.

    Parameters
    ----------
    loss : list of float
        The training loss.
    validation_loss, validation_score : list of float or None
        Those of the validation data; None before the first epoch that has such.
    best_epoch : int or None
        The epoch, from 0, in which the validation was best.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] | None = None
    validation_score: list[float] | None = None
    best_epoch: int | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> History:
        """Return a copy of the history that an estimator's fitted attributes hold."""
        loss, validation_loss, score = (
            list(attributes[name]) if attributes.get(name) is not None else None for name in CURVES
        )
        return cls(loss or [], validation_loss, score, attributes.get("best_epoch_"))

    @property
    def n_epochs(self) -> int:
        """The number of epochs done."""
        return len(self.loss)

    def expect(self, *, validation: bool, score: bool) -> None:
        """Begin the curves of the validation that the coming epochs will have, with NaN for those before."""
        if validation and self.validation_loss is None:
            self.validation_loss = [np.nan] * self.n_epochs
        if score and self.validation_score is None:
            self.validation_score = [np.nan] * self.n_epochs

    def add_epoch(self, loss: float) -> None:
        """Add an epoch, so far without validation."""
        self.loss.append(loss)
        for curve in (self.validation_loss, self.validation_score):
            if curve is not None:
                curve.append(np.nan)

    def curves(self) -> dict[str, list[float]]:
        """Return copies of the curves, by the names that listeners know."""
        curves = {"loss": self.loss, "validation_loss": self.validation_loss, "validation_score": self.validation_score}
        return {name: list(curve) for name, curve in curves.items() if curve is not None}

    def attributes(self) -> dict[str, Any]:
        """Return the estimator's attributes: the curves themselves, not copies."""
        curves = zip(CURVES, (self.loss, self.validation_loss, self.validation_score), strict=True)
        found: dict[str, Any] = {name: curve for name, curve in curves if curve is not None}
        if self.best_epoch is not None:
            found["best_epoch_"] = self.best_epoch
        return found
