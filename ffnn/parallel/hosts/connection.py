"""A connection to an agent: it starts commands on the host and sends data to its store.

A thread reads and dispatches incoming frames, pings the agent, and considers it lost when it is silent for too long.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ffnn.parallel.agent import frames, supervisor
from ffnn.parallel.hosts.bootstrap import agent_program
from ffnn.parallel.hosts.command import Command, Facts
from ffnn.parallel.hosts.outgoing import Outgoing
from ffnn.parallel.hosts.remote import Process
from ffnn.parallel.hosts.shipping import Shipping
from ffnn.parallel.hosts.tail import Tail

__all__ = ["Connection", "ConnectionLostError"]

_TAIL = 40  # lines of the connection's own standard error that are kept
_NOISE = 1 << 16  # bytes that a login shell may print before the agent speaks
_PINGS = 6  # pings within the silence after which the agent is considered lost
_SMALL = 1 << 12  # bytes up to which copying is cheaper than writing pieces
_END = 5.0  # seconds for an agent to end by itself


class ConnectionLostError(Exception):
    """The agent is gone, or does not answer."""


class Connection:
    """One agent, from its start to its end.

    Parameters
    ----------
    process : subprocess.Popen
        The process returned by a provisioner's ``start``.
    silence : float
        Seconds of silence after which the agent is considered lost.
    lease : float or None
        Seconds of silence after which the agent considers this process gone; None if the end of its input always
        reaches it.

    Attributes
    ----------
    store : Shipping
        The agent's store.
    """

    def __init__(self, process: subprocess.Popen[bytes], silence: float, lease: float | None) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdout, self._stderr = process.stdout, process.stderr
        self._silence = silence
        self._changed = threading.Condition()
        self._outgoing = Outgoing(process.stdin)
        self.store: Shipping = Shipping(self)
        self._channels: dict[int, Process] = {}
        self._puts: dict[int, Callable[[str | None], None]] = {}
        self._numbers = itertools.count(1)
        self._tail = Tail(_TAIL)
        self._facts: Facts | None = None
        self._greeted = False
        self._lost: str | None = None
        for pipe in (self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        self._outgoing.send([memoryview(agent_program())])
        config = {"lease": lease, "supervisor": Path(supervisor.__file__).read_text()}
        self.say(frames.CONFIG, 0, json.dumps(config).encode())
        self._reader = threading.Thread(target=self._read, name="ffnn-reader", daemon=True)
        self._reader.start()

    # --- what callers use, from any thread

    def wait_for_facts(self, timeout: float) -> Facts:
        """Wait for the agent's first message.

        Raises
        ------
        ConnectionLostError
            If it does not arrive within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._facts is not None or self._lost is not None, timeout):
                raise ConnectionLostError(f"it was not ready after {timeout:g} seconds")
            if self._facts is None:
                raise ConnectionLostError(self._lost)
            return self._facts

    @property
    def lost(self) -> str | None:
        """The reason why the agent is considered lost; None while it is connected."""
        return self._lost

    @property
    def bytes_sent(self) -> int:
        """The number of bytes that have been sent."""
        return self._outgoing.n_bytes

    @property
    def stderr(self) -> str:
        """The last lines that the connection itself wrote to standard error."""
        return self._tail.text

    def launch(self, command: Command, *, supervised: bool = True) -> Process:
        """Start a command on the host."""
        channel = next(self._numbers)
        process = Process(channel, self)
        with self._changed:
            if self._lost is not None:
                raise ConnectionLostError(self._lost)
            self._channels[channel] = process
        order = {
            "argv": list(command.argv),
            "environment": dict(command.environment),
            "inherit": command.inherit,
            "after": list(command.after),
            "supervised": supervised,
        }
        self.say(frames.START, channel, json.dumps(order).encode())
        return process

    def open_put(self, then: Callable[[str | None], None]) -> int:
        """Open a channel to the store; `then` is called with None, or with the reason why the data was not stored."""
        channel = next(self._numbers)
        with self._changed:
            lost = self._lost
            if lost is None:
                self._puts[channel] = then
        if lost is not None:
            then(lost)
        return channel

    def say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        """Send a frame."""
        self._outgoing.send([memoryview(frames.HEAD.pack(kind, channel, len(payload)) + payload)])

    def send_data(self, channel: int, buffers: Sequence[memoryview]) -> None:
        """Send data on a channel."""
        views = []
        if sum(map(len, buffers)) <= _SMALL:
            buffers = [memoryview(b"".join(buffers))]
        for buffer in buffers:
            for start in range(0, len(buffer), frames.CHUNK):
                piece = buffer[start : start + frames.CHUNK]
                views += [memoryview(frames.HEAD.pack(frames.DATA, channel, len(piece))), piece]
        self._outgoing.send(views)

    def close(self, stop: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """End the agent and everything that it runs, and wait; `stop` ends a process that does not end by itself."""
        self._lose("it was closed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        if self._process.poll() is None:
            stop(self._process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._reader is not threading.current_thread():
            self._reader.join(_END)  # it reads the last lines

    @property
    def exit_code(self) -> int | None:
        """The exit code of the connection's process, after waiting a moment for its end; None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        return self._process.poll()

    # --- reading

    def _read(self) -> None:
        try:
            self._listen()
        except Exception as error:  # if this thread ends, everything that depends on it must end
            self._lose(f"its messages cannot be understood: {error!r}")
        self._drain()

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        poll.register(self._stderr, select.POLLIN)
        ahead, reader = bytearray(), frames.Reader()
        heard, taken = time.monotonic(), 0
        patience = self._silence / _PINGS
        while self._lost is None:
            began = time.monotonic()
            for descriptor, _ in poll.poll(patience * 1000):
                data = _read_some(reader, descriptor)
                if descriptor == self._stderr.fileno():
                    if data:
                        self._tail.add(data)
                    elif data is not None:
                        poll.unregister(descriptor)
                elif data:
                    heard = time.monotonic()
                    ahead += data
                    self._take(ahead)
                elif data is not None:
                    self._lose("the connection ended")
            now = time.monotonic()
            # the agent may be busy receiving data, or this process was suspended (Ctrl-Z) and sent no ping
            if taken != self._outgoing.n_taken or now - began > 2 * patience:
                heard, taken = now, self._outgoing.n_taken
            if now - heard > self._silence and self._facts is not None:
                self._lose(f"it said nothing for {self._silence:g} seconds")
            elif self._facts is not None and not self._outgoing.busy and now - heard > patience / 2:
                self.say(frames.PING, 0)

    def _drain(self) -> None:
        """Read the remaining standard error, and close the streams."""
        self._stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        self._tail.add(_read_some(frames.Reader(), self._stderr.fileno()) or b"")
        self._stderr.close()

    def _take(self, ahead: bytearray) -> None:
        """Dispatch the frames that have arrived."""
        if not self._greeted:
            start = ahead.find(frames.MAGIC)
            if start < 0:
                if len(ahead) > _NOISE:
                    self._lose(f"what answered is not an agent; it says {bytes(ahead[:200])!r}")
                return
            del ahead[: start + len(frames.MAGIC)]
            self._greeted = True  # the rest may arrive later
        start, size = 0, frames.HEAD.size
        with memoryview(ahead) as view:
            while len(view) - start >= size:
                kind, channel, length = frames.HEAD.unpack_from(view, start)
                if len(view) - start < size + length:
                    break
                payload = bytes(view[start + size : start + size + length])
                start += size + length
                self._handle(kind, channel, payload)
        del ahead[:start]

    def _handle(self, kind: int, channel: int, payload: bytes) -> None:
        process = self._channels.get(channel)
        if kind == frames.HELLO:
            facts: dict[str, Any] = json.loads(payload)
            with self._changed:
                self._facts = Facts(**{**facts, "gpus": tuple(facts["gpus"])})
                self._changed.notify_all()
        elif kind == frames.STORED:
            then = self._puts.pop(channel, None)
            if then is not None:  # otherwise it was called when the host was lost
                then(json.loads(payload))
        elif process is None:
            return
        elif kind == frames.DATA:
            process.take_output(payload)
        elif kind == frames.STDERR:
            process.take_stderr(payload)
        elif kind == frames.EXITED:
            with self._changed:
                self._channels.pop(channel, None)
            process.take_exit(json.loads(payload))

    def _lose(self, reason: str) -> None:
        with self._changed:
            if self._lost is not None:
                return
            self._lost = reason
            processes, puts = list(self._channels.values()), list(self._puts.values())
            self._channels.clear()
            self._puts.clear()
            self._changed.notify_all()
        self._outgoing.close()  # the end of the agent's lease
        for process in processes:
            process.take_loss(reason)
        for then in puts:
            then(reason)


def _read_some(reader: frames.Reader, descriptor: int) -> bytes | None:
    """Read available bytes: empty at the end, None if there are none yet."""
    try:
        return reader.read(descriptor)
    except BlockingIOError:
        return None
    except OSError:
        return b""
