"""The exchange of values between hosts: each value is computed on one host and sent to the others.

Workers of one host share a folder (:mod:`ffnn.parallel.sharing`). Before a worker computes what that folder lacks, it
asks here. It is told to compute it, is given the data, or has to wait until another host has them.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from ffnn.parallel.tasks.exchange import PATIENCE
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["Answer", "Exchange"]

Answer: TypeAlias = Callable[[list[Buffer]], object]

_MOST = 1 << 30  # bytes that are kept for hosts that will ask later
_MOST_NAMES = 100_000
_YES, _NO = b"1", b"0"


@dataclass
class _Question:
    who: object
    answer: Answer
    until: float  # when the worker no longer waits


@dataclass
class _Computation:
    """A value that is being computed, and those who wait for it."""

    who: object
    waiting: list[_Question] = field(default_factory=list)


class Exchange:
    """The values that hosts have computed, and those that they are computing.

    Parameters
    ----------
    n_hosts : int
        The number of hosts; one alone is never told to wait or to send anything.
    """

    def __init__(self, n_hosts: int) -> None:
        self._alone = n_hosts == 1
        self._lock = threading.Lock()
        self._values: collections.OrderedDict[str, Buffer] = collections.OrderedDict()
        self._size = 0
        self._computed: dict[str, _Computation] = {}
        self._own: collections.OrderedDict[str, None] = collections.OrderedDict()  # each host computes these itself

    def ask(self, name: str, who: object, answer: Answer) -> None:
        """Take a worker's question.

        Parameters
        ----------
        name : str
            The name of the value.
        who : object
            The worker.
        answer : callable
            Sends the answer, now or later: the name, whether others want to be told, and the data if there are any.
        """
        with self._lock:
            if self._alone or name in self._own:
                _send(answer, [name.encode(), _NO])
            elif name in self._values:
                self._values.move_to_end(name)
                _send(answer, [name.encode(), _NO, self._values[name]])
            elif name in self._computed:
                self._computed[name].waiting.append(_Question(who, answer, time.monotonic() + PATIENCE))
            else:
                self._computed[name] = _Computation(who)
                _send(answer, [name.encode(), _YES])

    def tell(self, name: str, data: Buffer | None) -> None:
        """Take a value that was computed, for those who wait and those who ask later; None if there are no data."""
        with self._lock:
            if data is None:
                self._own[name] = None
                if len(self._own) > _MOST_NAMES:
                    self._own.popitem(last=False)
            elif name not in self._values:
                self._values[name] = data
                self._size += len(data)
                while self._size > _MOST:
                    self._size -= len(self._values.popitem(last=False)[1])
            computation = self._computed.pop(name, None)
            for question in [] if computation is None else computation.waiting:
                if question.until > time.monotonic():
                    _send(question.answer, [name.encode(), _NO, *([] if data is None else [data])])

    def leave(self, who: object) -> None:
        """Note that a worker computes nothing any more, and waits for nothing; who waits for it takes its place."""
        with self._lock:
            for name, computation in list(self._computed.items()):
                now = time.monotonic()
                waiting = [one for one in computation.waiting if one.who is not who and one.until > now]
                if computation.who is not who:
                    computation.waiting = waiting
                elif waiting:
                    self._computed[name] = _Computation(waiting[0].who, waiting[1:])
                    _send(waiting[0].answer, [name.encode(), _YES])
                else:
                    del self._computed[name]


def _send(answer: Answer, buffers: list[Buffer]) -> None:
    with contextlib.suppress(OSError):  # the worker is gone, and leaves soon
        answer(buffers)
