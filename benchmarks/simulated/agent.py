"""An agent whose workers only pretend: each says a given time after a task has come that the result is None.

    python benchmarks/simulated/agent.py SECONDS

It speaks the frames of :mod:`ffnn.parallel.agent` on its standard streams, for as many workers as it is asked to start.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from ffnn.parallel.agent import frames
from ffnn.parallel.tasks.task import pack
from ffnn.parallel.tasks.wire import Kind, head_of

WIRE = struct.Struct("!BI")


def message(kind: Kind, buffers: list[Any]) -> bytes:
    """Return a worker's message."""
    return head_of(kind, buffers) + b"".join(buffers)


class Simulation:
    """The workers of one host.

    Parameters
    ----------
    seconds : float
        The length of a task.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._out = bytearray()
        self._due: list[tuple[float, int]] = []
        self._inputs: dict[int, bytearray] = {}
        self._began = message(Kind.STARTED, [])
        self._result = message(Kind.RESULT, [struct.pack("!d", seconds), *pack(None, "None")])

    def run(self) -> None:
        """Serve until the input ends."""
        size = int(os.read(0, 8), 16)
        while size:
            size -= len(os.read(0, size))
        os.set_blocking(1, False)
        self._out += frames.MAGIC
        facts = {"hostname": "simulated", "user": "nobody", "python": "3", "pid": os.getpid(), "cpus": 1}
        more = {"memory": 1 << 30, "gpus": [], "folder": "/nowhere", "time": time.time()}
        self._say(frames.HELLO, 0, json.dumps({**facts, **more}).encode())
        ahead = bytearray()
        poll = select.poll()
        poll.register(0, select.POLLIN)
        while True:
            self._answer_what_is_due()
            if self._out:
                poll.register(1, select.POLLOUT)
            wait = max(self._due[0][0] - time.monotonic(), 0.0) * 1000 if self._due else None
            for descriptor, _ in poll.poll(wait):
                if descriptor == 1:
                    poll.unregister(1)
                    self._flush()
                    continue
                data = os.read(0, 1 << 20)
                if not data:
                    return
                ahead += data
                self._take(ahead)
            self._flush()

    def _answer_what_is_due(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            self._say(frames.DATA, heapq.heappop(self._due)[1], self._result)
        self._flush()

    def _take(self, ahead: bytearray) -> None:
        start, size = 0, frames.HEAD.size
        while len(ahead) - start >= size:
            kind, channel, length = frames.HEAD.unpack_from(ahead, start)
            if len(ahead) - start < size + length:
                break
            self._obey(kind, channel, bytes(ahead[start + size : start + size + length]))
            start += size + length
        del ahead[:start]

    def _obey(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == frames.DATA and channel in self._inputs:
            self._inputs[channel] += payload
            self._work(channel, self._inputs[channel])
        elif kind == frames.START:
            self._inputs[channel] = bytearray()
            self._say(frames.DATA, channel, message(Kind.READY, []))
        elif kind in (frames.EOF, frames.CLOSE) and channel in self._inputs:
            self._end(channel, 0)
        elif kind == frames.PING:
            self._say(frames.PONG, 0)

    def _work(self, channel: int, ahead: bytearray) -> None:
        if len(ahead) < WIRE.size:
            return
        kind, count = WIRE.unpack_from(ahead)
        if len(ahead) < WIRE.size + 8 * count:
            return
        size = WIRE.size + 8 * count + sum(struct.unpack_from(f"!{count}Q", ahead, WIRE.size))
        if len(ahead) < size:
            return
        del ahead[:size]
        if kind == Kind.STOP:
            self._end(channel, 0)
            return
        self._say(frames.DATA, channel, self._began)
        self._flush()  # as a worker, which says it before it runs the task
        if self._seconds:
            heapq.heappush(self._due, (time.monotonic() + self._seconds, channel))
        else:
            self._say(frames.DATA, channel, self._result)

    def _end(self, channel: int, code: int) -> None:
        del self._inputs[channel]
        self._say(frames.EXITED, channel, json.dumps(code).encode())

    def _say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        self._out += frames.HEAD.pack(kind, channel, len(payload)) + payload

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: os.write(1, self._out)]
        except BlockingIOError:
            pass


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Simulation(float(sys.argv[1])).run()
