"""The control that a search has over a fit in one of its tasks: the fit reports its epochs, and may pause after one.

A fit that pauses ends its call by :class:`FitPaused`. Its state, where there is one, lets another call go on from
there, on any machine, with the same bits as a fit that never paused. Without a state the other call begins anew.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import joblib

from ffnn.model import State
from ffnn.training.history import History
from ffnn.training.listeners import Listener

__all__ = ["EpochListener", "FitControl", "FitPaused", "PausedState", "hash_of", "last_step"]


class FitPaused(BaseException):
    """Ends a fit that pauses. It is no error, and scikit-learn does not take it for one."""


@dataclass(frozen=True)
class PausedState:
    """The state of a paused fit, from which it can go on, as plain arrays and values.

    Parameters
    ----------
    data : str
        A hash of the data that it was trained on.
    root_seed : int
        The seed of its random numbers.
    state : State
        The weights and the solver's slots.
    history : History
        The curves so far.
    memories : list of dict
        What the listeners remember.
    """

    data: str
    root_seed: int
    state: State
    history: History
    memories: list[dict[str, Any]]

    @property
    def n_epochs(self) -> int:
        """The number of epochs done."""
        return self.history.n_epochs

    @property
    def nbytes(self) -> int:
        """The size of the arrays, in bytes."""
        states = [
            self.state,
            *(part for memory in self.memories for part in memory.values() if isinstance(part, State)),
        ]
        return sum(array.nbytes for state in states for array in (*state.weights.values(), *state.slots.values()))


class FitControl:
    """Controls the fit of an estimator, and takes its curves and its state.

    Parameters
    ----------
    estimator : estimator or None
        The one whose fit is meant; of a pipeline its last step, as it is when it is fitted. None means no fit.
    pause_after : int or None
        The number of epochs after which to pause; a training that ends there does not pause.
    paused : PausedState or None
        Where to go on; None begins anew.
    on_epoch : callable or None
        Called as ``on_epoch(epoch, n_epochs, stats)`` after each epoch.

    Attributes
    ----------
    curves : dict of str to list of float
        The ``loss``, ``validation_loss`` and ``validation_score`` of each epoch, once the fit has paused or ended.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        pause_after: int | None = None,
        paused: PausedState | None = None,
        on_epoch: Callable[[int, int, dict[str, float]], None] | None = None,
    ) -> None:
        self._estimator = estimator
        self.pause_after = pause_after
        self.paused = paused
        self.on_epoch = on_epoch
        self.curves: dict[str, list[float]] = {}

    @classmethod
    def of(cls, estimator: object) -> FitControl:
        """Return the current task's control over this estimator's fit; without one, a control that does nothing."""
        control = _current.get()
        return control if control is not None and last_step(control._estimator) is estimator else cls(None)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Control the fits within the context."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @property
    def is_silent(self) -> bool:
        """Whether the fit neither pauses nor goes on."""
        return self.pause_after is None and self.paused is None

    def going_on(self, digest: str) -> PausedState | None:
        """Return where a fit of the data with this hash goes on; None if it begins."""
        paused = self.paused
        return paused if paused is not None and paused.data == digest else None

    def pauses(self, n_done: int, n_epochs: int) -> bool:
        """Return whether a fit of `n_epochs` is to pause after `n_done`."""
        return n_done == self.pause_after and n_done < n_epochs

    def pause(self, history: History, paused: PausedState | None) -> FitPaused:
        """Take over the curves and the state of a fit that pauses; return what ends its call."""
        self.note(history)
        self.paused = paused
        return FitPaused()

    def note(self, history: History) -> None:
        """Take over the curves of a fit that has paused or ended."""
        self.curves = history.curves()


class EpochListener(Listener):
    """Reports the epochs of a fit to the task that asked for them.

    Parameters
    ----------
    report : callable
        Called as ``report(epoch, n_epochs, stats)``.
    n_epochs : int
        The epochs of the whole fit.
    """

    def __init__(self, report: Callable[[int, int, dict[str, float]], None], n_epochs: int) -> None:
        self._report = report
        self._n_epochs = n_epochs

    can_go_on = True

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Report the epoch."""
        self._report(epoch, self._n_epochs, dict(stats))
        return False


def last_step(estimator: Any) -> Any:
    """Return what a pipeline fits last; another estimator is its own."""
    while isinstance(steps := getattr(estimator, "steps", None), list) and steps:
        estimator = steps[-1][1]
    return estimator


_current: contextvars.ContextVar[FitControl | None] = contextvars.ContextVar("ffnn_fit_control", default=None)


def hash_of(data: object) -> str:
    """Return a hash of arrays and sparse matrices, nested in tuples."""
    return str(joblib.hash(data))
