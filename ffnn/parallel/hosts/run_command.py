"""Running a command on a host to its end, with its whole output."""

from __future__ import annotations

import time

from ffnn.parallel.hosts.command import Command
from ffnn.parallel.hosts.connection import Connection, ConnectionLostError
from ffnn.parallel.hosts.remote import Completed

__all__ = ["run_command"]

_MOST = 64 << 20  # bytes of standard output that are accepted
_MOST_STDERR = 1 << 16  # bytes of standard error that are kept: its end


def run_command(connection: Connection, command: Command, input: bytes, timeout: float) -> Completed:
    """Run a command and wait for its end.

    Parameters
    ----------
    connection : Connection
        The connection to the host.
    command : Command
        The command.
    input : bytes
        Its standard input.
    timeout : float
        Seconds that it may take; then it is ended.

    Raises
    ------
    ConnectionLostError
        If it takes longer than `timeout` seconds or prints too much, or the host is lost.
    """
    stdout: list[bytes] = []
    stderr = bytearray()

    def keep_the_end(data: bytes) -> None:
        stderr.extend(data)
        del stderr[:-_MOST_STDERR]

    process = connection.launch(command, supervised=False)
    process.on_stderr = keep_the_end
    if input:
        process.send([memoryview(input)])
    process.end_input()
    deadline, size = time.monotonic() + timeout, 0
    words = " ".join(command.argv)
    try:
        while data := process.read(deadline):
            stdout.append(data)
            size += len(data)
            if size > _MOST:
                process.end()
                raise ConnectionLostError(f"{words} printed more than {_MOST >> 20} MiB")
            if time.monotonic() > deadline:  # there is always more to read
                raise TimeoutError
    except TimeoutError:
        process.end()
        raise ConnectionLostError(f"{words} took longer than {timeout:g} seconds") from None
    if process.exit_code is None:
        raise ConnectionLostError(str(process.lost))
    return Completed(process.exit_code, b"".join(stdout), stderr.decode("utf-8", "replace"))
