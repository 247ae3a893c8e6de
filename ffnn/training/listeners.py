"""Listeners: objects that follow a training from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ffnn.model import Model

__all__ = ["Listener", "Listeners", "MonitorListener", "Run"]


@dataclass(frozen=True)
class Run:
    """A call of ``fit`` or ``partial_fit``, for the listeners that a builder makes.

    Attributes
    ----------
    model : Model
        The network that is trained, on the builder's engine.
    epochs : range
        The epochs of this call, counted from the estimator's first.
    n_batches : int
        The steps of an epoch.
    verbose : bool
        Whether the user asked for output.
    attributes : dict of str to object
        The fitted attributes; a listener may add some.
    """

    model: Model
    epochs: range
    n_batches: int
    verbose: bool
    attributes: dict[str, Any]


class Listener:
    """Follows a training. By default, nothing happens.

    An exception in a listener ends the training, and the estimator stays as it was before.
    """

    def begin(self) -> None:
        """Training begins."""

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """An epoch has ended; return whether to stop.

        Parameters
        ----------
        epoch : int
            Its number, counted from 0.
        stats : dict of str to float
            ``"loss"``, and ``"learning_rate"``, ``"validation_loss"`` and ``"validation_score"`` where there are such.
            The first listeners add to it for the later ones.
        """
        return False

    def end(self) -> None:
        """Training has ended, neither by an exception nor by Ctrl-C."""

    def close(self) -> None:
        """Release everything; called last, whatever has happened."""

    # -- a training that pauses, and goes on in another call ------------------------------------------------------

    @property
    def can_go_on(self) -> bool:
        """Whether another listener of its kind, with its memory, can follow the rest of the training.

        If not, the default, a paused training begins anew instead of going on.
        """
        return False

    def memory(self) -> dict[str, Any]:
        """Return what it must remember of the epochs so far."""
        return {}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take over the memory of the one that followed the epochs before."""


class Listeners(Listener):
    """Several listeners, called in order; all of them see each epoch, even where one says to stop."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    @property
    def can_go_on(self) -> bool:
        """Whether all of them can."""
        return all(listener.can_go_on for listener in self._listeners)

    def memories(self) -> list[dict[str, Any]]:
        """Return the memory of each."""
        return [listener.memory() for listener in self._listeners]

    def recall_all(self, memories: Sequence[dict[str, Any]]) -> None:
        """Give each its memory."""
        for listener, memory in zip(self._listeners, memories, strict=True):
            listener.recall(memory)

    def begin(self) -> None:
        """Call each one's method."""
        for listener in self._listeners:
            listener.begin()

    def begin_epoch(self, epoch: int) -> None:
        """Call each one's method."""
        for listener in self._listeners:
            listener.begin_epoch(epoch)

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Call each one's method; return whether one of them says to stop."""
        answers = [listener.end_epoch(epoch, stats) for listener in self._listeners]
        return any(answers)

    def end(self) -> None:
        """Call each one's method."""
        for listener in self._listeners:
            listener.end()

    def close(self) -> None:
        """Call each one's method."""
        for listener in self._listeners:
            listener.close()


class MonitorListener(Listener):
    """Calls a function after each epoch, and stops where its answer is true."""

    def __init__(self, function: Callable[[int, dict[str, float]], Any]) -> None:
        self._function = function

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Return whether the function's answer is true."""
        answer = self._function(epoch, stats)
        try:
            return bool(answer)
        except (TypeError, ValueError) as error:  # an array, say
            raise TypeError(
                f"monitor returned {answer!r}: expected True to stop the training, or False or None to go on; got "
                f"{type(answer).__name__}. End the function without a return, or return a bool."
            ) from error
