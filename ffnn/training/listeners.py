"""Who is told of a training's epochs: the curves, the validation, the bar, callbacks, the monitor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ffnn.model import Model

if TYPE_CHECKING:
    from ffnn.estimator.base import BaseMLP

__all__ = ["Listener", "Listeners", "MonitorListener", "Run"]


@dataclass(frozen=True)
class Run:
    """One call of ``fit`` or ``partial_fit``, as a listener sees it.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
        What is trained.
    model : Model
        Its network, on the engine.
    epochs : range
        The epochs to come, counted from the estimator's first.
    n_batches : int
        The steps of an epoch.
    verbose : bool
        Whether the user wants to see something.
    """

    estimator: BaseMLP
    model: Model
    epochs: range
    n_batches: int
    verbose: bool


class Listener:
    """Is told of a training's epochs. By default, nothing happens.

    Whatever a listener raises ends the training, and the estimator is then as it was before.
    """

    def begin(self) -> None:
        """Take note that training begins."""

    def begin_epoch(self, epoch: int) -> None:
        """Take note that an epoch begins."""

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Take note that an epoch has ended; return whether to stop.

        Parameters
        ----------
        epoch : int
            Its number, counted from 0.
        stats : dict of str to float
            ``"loss"``, and ``"learning_rate"``, ``"validation_loss"`` and ``"validation_score"`` where there are such.
            Those who come first add to it.
        """
        return False

    def end(self) -> None:
        """Take note that training has ended: not by an exception, and not by Ctrl-C."""

    def close(self) -> None:
        """Let go of everything, whatever has happened."""


class Listeners(Listener):
    """Several listeners, told one after the other; all are told of an epoch, also where one says to stop."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def begin(self) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.begin()

    def begin_epoch(self, epoch: int) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.begin_epoch(epoch)

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Tell all; return whether one of them says to stop."""
        answers = [listener.end_epoch(epoch, stats) for listener in self._listeners]
        return any(answers)

    def end(self) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.end()

    def close(self) -> None:
        """Let all of them go."""
        for listener in self._listeners:
            listener.close()


class MonitorListener(Listener):
    """Calls the user's ``monitor(epoch, estimator, stats)``."""

    def __init__(self, monitor: Callable[..., Any] | None, estimator: BaseMLP) -> None:
        self._monitor = monitor
        self._estimator = estimator

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Return whether the monitor's answer is true."""
        return self._monitor is not None and bool(self._monitor(epoch, self._estimator, stats))
