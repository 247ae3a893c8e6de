"""Policies: which candidates of a search are stopped, and when."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ffnn.parallel.options import check_count

__all__ = ["MONITORS", "PruningPolicy", "SuccessiveHalving", "check_policy"]

#: What a policy can look at, and whether more of it is better.
MONITORS = {"loss": False, "validation_loss": False, "validation_score": True}


class PruningPolicy(abc.ABC):
    """Decides which candidates of a search are stopped; the base class of policies.

    The candidates are compared after fixed numbers of epochs, each time when the last of them has come so far. So a
    decision depends neither on the number of workers nor on their speed.

    Attributes
    ----------
    monitor : str
        What is compared: ``"loss"``, the training loss, or ``"validation_loss"`` or ``"validation_score"``, of the rows
        that ``early_stopping=True`` sets apart or that are passed as ``X_val``. It is never measured on the rows that
        the search tests on.
    """

    monitor: str = "validation_loss"

    @abc.abstractmethod
    def rungs(self) -> Iterable[int]:
        """Return the numbers of epochs after which the candidates are compared, in ascending order."""

    @abc.abstractmethod
    def keep(self, losses: np.ndarray) -> np.ndarray:
        """Return which candidates go on.

        Parameters
        ----------
        losses : float64 ndarray of shape (n_candidates, n_folds)
            The monitored number of each fit of the candidates that are left, in the order of the search; the lower, the
            better (a score is negated). A fit that has ended has its last one; one that failed has infinity.

        Returns
        -------
        bool ndarray of shape (n_candidates,)
            At least one is true.
        """


class SuccessiveHalving(PruningPolicy):
    """Keeps the best candidates, one in `factor`, after `first_epoch` epochs, and again after `factor` times as many.

    Candidates are ranked within each fold; those of the lowest mean rank go on, in all folds. Their number is rounded
    up.

    Parameters
    ----------
    factor : int, default=3
        One in how many candidates goes on; 2 or more.
    first_epoch : int, default=2
        The number of epochs before the first comparison.
    monitor : {"validation_loss", "validation_score", "loss"}, default="validation_loss"
        What is compared. The validation needs ``early_stopping=True`` or ``X_val``; ``"loss"`` is the training loss.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid.

    References
    ----------
    K. Jamieson and A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS
    2016.
    """

    def __init__(self, factor: int = 3, first_epoch: int = 2, monitor: str = "validation_loss") -> None:
        self.factor: int = check_count("factor", factor, 2)
        self.first_epoch: int = check_count("first_epoch", first_epoch, 1)
        if monitor not in MONITORS:
            known = ", ".join(map(repr, MONITORS))
            raise ValueError(f"monitor must be one of {known}; got {monitor!r}.")
        self.monitor: str = monitor

    def __repr__(self) -> str:
        return f"SuccessiveHalving(factor={self.factor}, first_epoch={self.first_epoch}, monitor={self.monitor!r})"

    def rungs(self) -> Iterable[int]:
        """Return ``first_epoch`` times the powers of ``factor``."""
        return (self.first_epoch * self.factor**i for i in itertools.count())

    def keep(self, losses: np.ndarray) -> np.ndarray:
        """Return which candidates have the lowest mean ranks; of equal ones, those that come first."""
        import scipy.stats  # which takes a while, and few searches need

        ranks = scipy.stats.rankdata(losses, axis=0).mean(axis=1)
        kept = np.zeros(len(ranks), bool)
        kept[np.argsort(ranks, kind="stable")[: math.ceil(len(ranks) / self.factor)]] = True
        return kept


def check_policy(prune: Any) -> PruningPolicy | None:
    """Return the policy, if it is one.

    Raises
    ------
    TypeError, ValueError
        If it is none, or monitors what nobody measures.
    """
    if prune is None:
        return None
    if not isinstance(prune, PruningPolicy):
        got = f"the class {prune.__name__}" if isinstance(prune, type) else f"{prune!r} of type {type(prune).__name__}"
        raise TypeError(
            f"prune must be a policy; got {got}. Pass ffnn.SuccessiveHalving(), or an object of your own class that "
            "derives from ffnn.PruningPolicy."
        )
    if prune.monitor not in MONITORS:
        known = ", ".join(map(repr, MONITORS))
        raise ValueError(f"prune.monitor must be one of {known}; got {prune.monitor!r} from {prune!r}.")
    return prune
