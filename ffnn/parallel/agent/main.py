"""The agent's main loop: ``ffnn.parallel.hosts.provisioner.AGENT`` makes a Python run it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time

from ffnn.parallel.agent import frames
from ffnn.parallel.agent.command import AFTER, GIVE_UP, CannotRun, Command
from ffnn.parallel.agent.facts import facts
from ffnn.parallel.agent.folder import Folder, Upload

LOOK_AGAIN = 0.5  # seconds between two checks of the lease


class LeaseExpired(Exception):
    """The client is gone, or has closed the connection."""


class Agent:
    """Serves one client on one host.

    Parameters
    ----------
    source, sink : int
        The file descriptors of incoming and outgoing frames.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._parent = os.getppid()
        self._lease: float | None = None
        self._heard = self._looked = time.monotonic()
        self._ahead = bytearray()
        self._reader = frames.Reader()
        self._commands: dict[int, Command] = {}
        self._uploads: dict[int, Upload] = {}
        self._selector = selectors.DefaultSelector()
        self._folder = Folder()
        self._ending = False

    def run(self) -> None:
        """Serve the client until the lease expires."""
        wake, wakened = os.pipe()
        for descriptor in (self._source, self._sink, wake, wakened):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
        self._selector.register(self._source, selectors.EVENT_READ, self._listen)
        # the functions return True if a command may have ended
        self._selector.register(wake, selectors.EVENT_READ, lambda: _only_children(os.read(wake, 512)))
        try:
            frames.write_all(self._sink, frames.MAGIC)
            self._say(frames.HELLO, 0, json.dumps({**facts(), "folder": self._folder.path}).encode())
            while True:
                busy = self._serve(LOOK_AGAIN)
                silent = self._lease is not None and not busy and time.monotonic() - self._heard > self._lease
                # this process may have been suspended, and frames of the client may be unread
                if (silent and not self._serve(0.0)) or os.getppid() != self._parent:
                    return
        except LeaseExpired:
            pass
        finally:
            self._end()

    def _serve(self, timeout: float) -> bool:
        """Wait for events and handle them; return whether there were any."""
        events = self._selector.select(timeout)
        look = time.monotonic() >= self._looked + timeout
        for key, _ in events:
            if self._selector.get_map().get(key.fileobj) is key:  # unless another event has closed it
                look = bool(key.data()) or look
        if look:  # it asks the system about every command
            self._look()
        return bool(events)

    def _look(self) -> None:
        self._looked = time.monotonic()
        for channel, command in list(self._commands.items()):
            code = command.look()
            if code is not None:
                del self._commands[channel]
                self._say(frames.EXITED, channel, json.dumps(code).encode())

    def _say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        if self._ending:
            return
        try:
            frames.write_all(self._sink, frames.HEAD.pack(kind, channel, len(payload)) + payload, self._lease)
        except OSError as error:
            raise LeaseExpired from error

    def _listen(self) -> None:
        try:
            data = self._reader.read(self._source)
        except BlockingIOError:
            return
        except OSError as error:
            raise LeaseExpired from error
        if not data:
            raise LeaseExpired
        self._heard = time.monotonic()
        self._ahead += data
        start, size = 0, frames.HEAD.size
        while len(self._ahead) - start >= size:
            kind, channel, length = frames.HEAD.unpack_from(self._ahead, start)
            if len(self._ahead) - start < size + length:
                break
            with memoryview(self._ahead) as view:
                payload = bytes(view[start + size : start + size + length])
            start += size + length
            self._handle(kind, channel, payload)
        del self._ahead[:start]

    def _handle(self, kind: int, channel: int, payload: bytes) -> None:
        command = self._commands.get(channel)
        if kind == frames.DATA and channel in self._uploads:
            self._store(channel, payload)
        elif kind == frames.DATA and command is not None:
            command.feed(payload)
        elif kind == frames.EOF and command is not None:
            command.finish_input()
        elif kind == frames.CLOSE and command is not None:
            command.end()
        elif kind == frames.GRANT and command is not None:
            command.grant(json.loads(payload))
        elif kind == frames.START:
            self._start(channel, payload)
        elif kind == frames.PUT:
            order = json.loads(payload)
            self._uploads[channel] = Upload(self._folder, order["name"], order["size"])
            self._store(channel, b"")
        elif kind == frames.DROP:
            self._folder.drop(payload.decode())
        elif kind == frames.PING:
            self._say(frames.PONG, 0)
        elif kind == frames.CONFIG:
            config = json.loads(payload)
            self._lease = config["lease"]
            with open(self._folder.supervisor, "w") as file:
                file.write(config["supervisor"])

    def _start(self, channel: int, order: bytes) -> None:
        def say(kind: int, payload: bytes) -> None:
            self._say(kind, channel, payload)

        try:
            self._commands[channel] = Command(json.loads(order), self._folder.supervisor, self._selector, say)
        except CannotRun as error:
            reason, code = error.args
            say(frames.STDERR, f"{reason}\n".encode())
            say(frames.EXITED, json.dumps(code).encode())

    def _store(self, channel: int, data: bytes) -> None:
        upload = self._uploads[channel]
        upload.write(data)
        if upload.complete:
            del self._uploads[channel]
            self._say(frames.STORED, channel, json.dumps(upload.error).encode())

    def _end(self) -> None:
        """End every command and remove the folder."""
        self._selector.unregister(self._source)
        os.close(self._source)
        self._ending = True  # the client may be gone
        for command in self._commands.values():
            command.end()
        until = time.monotonic() + GIVE_UP + AFTER + 2
        while self._commands and time.monotonic() < until:
            with contextlib.suppress(LeaseExpired, OSError):
                self._serve(0.02)
        self._folder.remove()


def _only_children(signals: bytes) -> bool:
    if any(number != signal.SIGCHLD for number in signals):
        raise LeaseExpired
    return True


def main() -> None:
    """Serve the client at the other end of the standard streams."""
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # stray prints must not corrupt the frames
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    Agent(source, sink).run()
