"""One host of an executor: how its agent is kept alive, what it has been sent, and when it is given up."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from ffnn.exceptions import ExecutorError, HostError, HostWarning
from ffnn.parallel.hosts.breaker import Breaker
from ffnn.parallel.hosts.connection import Connection, ConnectionLostError
from ffnn.parallel.hosts.limits import remedy
from ffnn.parallel.hosts.once import run_command
from ffnn.parallel.hosts.provisioner import Command, Facts, Provisioner
from ffnn.parallel.hosts.remote import Completed, Process
from ffnn.parallel.hosts.shipping import ShippingError
from ffnn.parallel.output import warn
from ffnn.parallel.preflight.compare import Report
from ffnn.parallel.tasks.store import Blob

__all__ = ["Completed", "Host"]


class Host:
    """Keeps an agent on a host, as long as it makes sense.

    Parameters
    ----------
    provisioner : Provisioner
        Where the host is.
    start_timeout : float
        Seconds that an agent may take to start.
    silence : float
        Seconds without an answer after which an agent is given up.
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
        self.slots = [Breaker() for _ in range(provisioner.n_workers)]  # what is known of each worker's starts
        self._fit = False  # whether the agent is there and the host was found able to run workers
        self._closed = False
        self._sent_before = 0
        self.n_connections = 0
        self.report: Report | None = None  # what it said of its versions, if it was asked
        self.has_worked = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.provisioner.name

    @property
    def facts(self) -> Facts:
        """What its agent said of it."""
        if self._facts is None:
            raise HostError(f"host {self.name} is not connected", self.name)
        return self._facts

    @property
    def bytes_sent(self) -> int:
        """The number of bytes that crossed to the host."""
        with self._lock:
            return self._sent_before + (self._connection.bytes_sent if self._connection else 0)

    @property
    def left_out(self) -> ExecutorError | None:
        """Why the host is left out at the moment; None if it is not."""
        return self._breaker.reason

    def connect(self) -> Connection:
        """Return the living connection, a new one if need be; wait while the host has its rest.

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
                    if left_out is not None:  # even if its agent is there
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
            return self._named(error), self.n_connections == 0  # what never worked will not work in a second either
        try:
            self.on_start()
            self.provisioner.check(self)
        except Exception as error:
            self._drop()
            return self._named(error), True
        return None, False

    def fail(self, error: ExecutorError, for_good: bool = False) -> None:
        """Note that the host did not do what it should; leave it out if that happens too often."""
        if not self._closed:
            left_out, new = self._breaker.fail(error, for_good)
            if left_out and (others := self.on_left_out()) and new:
                warn(f"{error}\n{others}", HostWarning)

    def fail_slot(self, slot: int, error: ExecutorError, for_good: bool = False) -> None:
        """Note that the worker of a slot did not start; leave out the slot, or the host if none is left."""
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
        """Note that the worker of a slot has started, or has finished a task."""
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
    """Is called when the host is left out; returns a sentence about the others, empty if none can go on."""

    on_start: Callable[[], None] = staticmethod(lambda: None)
    """Is called when an agent is there, before the host is checked."""

    def give_up(self) -> None:
        """Connect no more; leave what is connected."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if not self._fit:
            self._drop()

    def close(self) -> None:
        """End everything on the host; it is not started again."""
        self.give_up()
        self._drop()

    def _check_open(self) -> None:
        if self._closed:
            raise HostError(f"host {self.name}: the executor was shut down", self.name)

    def _named(self, error: Exception) -> HostError:
        """Say which host failed, if a provisioner's error does not."""
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
        if (
            failure is not None
        ):  # noted out here: whoever is told of it must not see it as the context of its own errors
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
        """Run a command on the host, whose agent is there; see :func:`~ffnn.parallel.hosts.once.run_command`.

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
        """Have some data in the host's store as long as the context lasts; what is not there is sent, once.

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
                    self.fail(failure, for_good=True)  # it would fail the next time, too
                raise failure
            yield

    def forget(self, names: Collection[str]) -> None:
        """Note that some data are not in the host's store any more."""
        if (connection := self._connection) is not None:
            connection.store.forget(names)
