"""One host of an executor: the connection to its agent, reconnecting, and leaving it out after failures."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from ffnn.exceptions import ExecutorError, HostError, HostWarning
from ffnn.parallel.hosts.breaker import Breaker
from ffnn.parallel.hosts.command import Command, Facts
from ffnn.parallel.hosts.connection import Connection, ConnectionLostError
from ffnn.parallel.hosts.limits import remedy
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.hosts.remote import Completed, Process
from ffnn.parallel.hosts.run_command import run_command
from ffnn.parallel.hosts.shipping import ShippingError
from ffnn.parallel.output import warn
from ffnn.parallel.preflight.compare import Report
from ffnn.parallel.tasks.store import Blob

__all__ = ["Completed", "Host"]


class Host:
    """A host of an executor, with an agent that is restarted when it is lost.

    Parameters
    ----------
    provisioner : Provisioner
        The provisioner of the host.
    start_timeout : float
        Seconds that an agent may take to start.
    silence : float
        Seconds without an answer after which an agent is considered lost.
    """

    def __init__(self, provisioner: Provisioner, *, start_timeout: float, silence: float) -> None:
        self.provisioner = provisioner
        self._start_timeout = start_timeout
        self._silence = silence
        self._run = secrets.token_hex(4)
        self._starts = itertools.count(1)
        self._connecting = threading.Lock()
        self._lock = threading.Condition()
        self._connection: Connection | None = None
        self._facts: Facts | None = None
        self._breaker = Breaker()
        # the failures of each worker's starts
        self.slots: list[Breaker] = [Breaker() for _ in range(provisioner.n_workers)]
        self._fit = False  # whether the agent is connected and the host passed its check
        self._closed = False
        self._sent_before = 0
        self.n_connections: int = 0
        self.report: Report | None = None  # its versions, if they were checked
        self.has_worked: bool = False

    @property
    def name(self) -> str:
        """The host's name, for messages."""
        return self.provisioner.name

    @property
    def facts(self) -> Facts:
        """The properties that its agent reported."""
        if self._facts is None:
            raise HostError(f"host {self.name} is not connected", self.name)
        return self._facts

    @property
    def bytes_sent(self) -> int:
        """The number of bytes that were sent to the host."""
        with self._lock:
            return self._sent_before + (self._connection.bytes_sent if self._connection else 0)

    @property
    def left_out(self) -> ExecutorError | None:
        """The reason why the host is left out at the moment; None if it is not."""
        return self._breaker.reason

    def connect(self) -> Connection:
        """Return the connection, a new one if it was lost; wait while the host backs off.

        Raises
        ------
        ExecutorError
            If the host is left out: it could not be reached at first, was found unfit, or failed too often.
        """
        with self._connecting:
            while True:
                with self._lock:
                    self._check_open()
                    connection = self._connection
                    left_out = self._breaker.reason
                    if left_out is not None:  # even if its agent is connected
                        raise left_out
                    if connection is not None and connection.lost is None:
                        return connection
                    if self._breaker.rest:
                        self._lock.wait(self._breaker.rest)
                        continue
                if connection is not None:
                    self._drop()
                    self.fail(HostError(f"host {self.name} was lost: {connection.lost}", self.name))
                    continue
                failure, for_good = self._bring_up()
                if failure is not None:
                    self.fail(failure, for_good)
                    continue
                with self._lock:
                    self._fit = True
                self.n_connections += 1

    def _bring_up(self) -> tuple[HostError | None, bool]:
        """Start an agent and check the host; return what went wrong, and whether to leave the host out at once."""
        try:
            self._start()
        except Exception as error:
            return self._named(error), self.n_connections == 0  # a host that never worked is not retried
        try:
            self.on_start()
            self.provisioner.check(self)
        except Exception as error:
            self._drop()
            return self._named(error), True
        return None, False

    def fail(self, error: ExecutorError, for_good: bool = False) -> None:
        """Record a failure of the host; leave it out after too many."""
        if not self._closed:
            left_out, new = self._breaker.fail(error, for_good)
            if left_out and (others := self.on_left_out()) and new:
                warn(f"{error}\n{others}", HostWarning)

    def fail_slot(self, slot: int, error: ExecutorError, for_good: bool = False) -> None:
        """Record that the worker of a slot did not start; leave out the slot, or the host if no slot is left."""
        left_out, new = self.slots[slot].fail(error, for_good)
        if self._closed or self.left_out is not None:
            return
        if not self.n_workers_left:
            self.fail(error, for_good=True)
        elif left_out and new:
            good = self.has_worked and not all(slot.has_failed for slot in self.slots)
            others = "go on" if good else "are still being tried"
            warn(f"{error}\nWorker {self.name}-{slot} is left out; the other workers {others}.", HostWarning)

    def succeed(self, slot: int) -> None:
        """Record that the worker of a slot has started, or has finished a task."""
        self.has_worked = True
        self.slots[slot].succeed()
        self._breaker.succeed()

    @property
    def n_workers_left(self) -> int:
        """The number of workers that are not left out at the moment."""
        return 0 if self.left_out is not None else sum(slot.reason is None for slot in self.slots)

    @property
    def works(self) -> bool:
        """Whether the host is connected, and not left out."""
        return self._fit and self.left_out is None

    on_left_out: Callable[[], str] = staticmethod(lambda: "")
    """Called when the host is left out; returns a sentence about the others, empty if none can go on."""

    on_start: Callable[[], None] = staticmethod(lambda: None)
    """Called when an agent is connected, before the host is checked."""

    def give_up(self) -> None:
        """Stop connecting; keep an existing connection."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if not self._fit:
            self._drop()

    def close(self) -> None:
        """End everything on the host for good."""
        self.give_up()
        self._drop()

    def _check_open(self) -> None:
        if self._closed:
            raise HostError(f"host {self.name}: the executor was shut down", self.name)

    def _named(self, error: Exception) -> HostError:
        """Return an error that names the host, if a provisioner's error does not."""
        if isinstance(error, HostError):
            return error
        named = HostError(f"host {self.name}: {type(error).__name__}: {error}{remedy(error)}", self.name)
        named.__cause__ = error
        return named

    def _start(self) -> None:
        try:
            process = self.provisioner.start()
        except OSError as error:
            what = f"the connection could not be started: {error}{remedy(error)}"
            raise HostError(f"host {self.name}: {what}", self.name) from error
        try:
            connection = Connection(process, self._silence, self.provisioner.lease)
        except RuntimeError:  # the system allows no more threads
            process.kill()
            raise
        with self._lock:
            self._connection = connection
            closed = self._closed
        try:
            self._facts = connection.wait_for_facts(0.0 if closed else self._start_timeout)
        except ConnectionLostError:
            exit_code = connection.exit_code  # before it is ended from here
            self._drop()
            self._check_open()
            raise self.provisioner.explain(exit_code, connection.stderr) from None

    def _drop(self) -> None:
        """End the connection, and wait for that."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._fit = False
            if connection is not None:
                self._sent_before += connection.bytes_sent
        if connection is not None:
            connection.close(self.provisioner.stop)

    def launch(self, slot: int) -> Process:
        """Start the worker of a slot.

        Raises
        ------
        ExecutorError
            If the host cannot be reached.
        """
        connection, start = self.connect(), f"{self._run}-{slot}-{next(self._starts)}"
        failure = None
        try:
            command = self.provisioner.command(slot, start, self.facts)
        except Exception as error:
            failure = self._named(error)
        if failure is not None:  # recorded outside `except`, so that it is not the context of errors in callbacks
            self.fail_slot(slot, failure, for_good=True)
            raise failure
        try:
            return connection.launch(command)
        except ConnectionLostError as error:
            raise HostError(f"host {self.name}: {error}", self.name) from None

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        input: bytes = b"",
        timeout: float = 60.0,
    ) -> Completed:
        """Run a command on the connected host; see :func:`~ffnn.parallel.hosts.run_command.run_command`.

        Raises
        ------
        HostError
            If it takes longer than `timeout` seconds or prints too much, or the host is lost.
        """
        try:
            if self._connection is None:
                raise ConnectionLostError("it is not connected")
            return run_command(self._connection, Command(argv, environment or {}), input, timeout)
        except (ConnectionLostError, OSError) as error:
            raise HostError(f"host {self.name}: {error}", self.name) from None

    @contextlib.contextmanager
    def having(self, blobs: Sequence[Blob]) -> Iterator[None]:
        """Keep some data in the host's store during the context; missing data is sent, once.

        Raises
        ------
        ExecutorError
            If it cannot be stored, or the host is lost; the failure is noted.
        """
        if not blobs:
            yield
            return
        connection, failure = self.connect(), None
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(connection.store.having(blobs))
            except ShippingError as reason:
                what = f"{reason}. Make room there, or let TMPDIR name a folder with more."
                failure = HostError(f"host {self.name}: {what}", self.name)
            if failure is not None:
                if connection.lost is None:
                    self.fail(failure, for_good=True)  # it would fail again
                raise failure
            yield

    def forget(self, names: Collection[str]) -> None:
        """Record that some data is no longer in the host's store."""
        if (connection := self._connection) is not None:
            connection.store.forget(names)
