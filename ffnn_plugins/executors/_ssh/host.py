"""Hosts that are reached by SSH: OpenSSH's client carries the agent's streams.

So the user's configuration for ``ssh alpha`` applies here, too: names, keys, the SSH agent, jump hosts, known hosts.
Options that would break the streams, give the host access to this machine, or outlive the connection are off.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ffnn.exceptions import HostError
from ffnn.parallel.hosts.command import Command, Facts
from ffnn.parallel.hosts.provisioner import Provisioner, spawn
from ffnn.parallel.hosts.remote import ConnectedHost
from ffnn.parallel.options import check_count
from ffnn.parallel.preflight.check import check_versions
from ffnn_plugins.executors._ssh.address import Address, check_python, login_command, parse_address
from ffnn_plugins.executors._ssh.errors import explain

__all__ = ["SSHHost", "make_hosts"]

_LOOK = 15.0  # seconds for the client to read its configuration, and for a connection that only tests
_CONNECT = 15  # seconds for a connection, where the user's configuration sets no ConnectTimeout

# Options that override the user's configuration; the rest of it applies.
_OPTIONS = {
    "BatchMode": "yes",  # there is no user to ask
    "ForwardAgent": "no",  # the host must not use the user's keys
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",  # the user's other sessions may use these ports
    "Tunnel": "no",
    "PermitLocalCommand": "no",  # it would read and write the agent's streams
    "RemoteCommand": "none",  # the agent is the command
    "RequestTTY": "no",
    "ControlMaster": "no",  # an open connection is shared, but this one must end with this process
    "LogLevel": "INFO",  # QUIET would hide the reasons of failures
}
# Older clients do not know these, and then their configuration cannot contain them either.
_OPTIONS_SINCE_8_7 = {"SessionType": "default", "StdinNull": "no", "ForkAfterAuthentication": "no"}


class SSHHost(Provisioner):
    """One host, and the connection to it.

    Parameters
    ----------
    host : str
        ``"alpha"``, ``"user@beta:2222"``, ``"ssh://user@beta:2222"``, ``"[::1]:2222"``.
    n_workers : int, default=1
        The number of workers there.
    python : str, default="python3"
        The Python there that has ffnn installed; it runs the agent too.
    threads_per_worker : int or None, default=None
        Threads in each worker; None shares the host's CPUs evenly.
    config : str, path or None, default=None
        The SSH client's configuration file, in place of the user's (``ssh -F``).
    host_timeout : float, default=30.0
        Seconds of silence after which the SSH client, too, gives up.
    ignore_versions : collection of str, default=()
        Packages that may have another version there than here.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    """

    def __init__(
        self,
        host: str,
        n_workers: int = 1,
        *,
        python: str = "python3",
        threads_per_worker: int | None = None,
        config: str | os.PathLike[str] | None = None,
        host_timeout: float = 30.0,
        ignore_versions: Collection[str] = (),
    ) -> None:
        self.address = parse_address(host)
        self.name = host
        self.n_workers = n_workers
        self.python = check_python("python", python)
        self.config = check_config(config)
        self._n_threads = threads_per_worker
        self._host_timeout = host_timeout
        self._ignore_versions = ignore_versions
        self._stopped = False

    # --- the connection

    def start(self) -> subprocess.Popen[bytes]:
        """Connect, and start an agent."""
        self._stopped = False
        try:
            return spawn(self._arguments(login_command(self.python)), env=_environment())
        except FileNotFoundError:
            raise self._no_client() from None

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End the connection: politely, so that the client can end the jump hosts' connections."""
        self._stopped = True
        process.terminate()

    def explain(self, exit_code: int | None, stderr: str) -> HostError:
        """Return an error that explains why no agent started, with a remedy."""
        return explain(self, None if self._stopped else exit_code, stderr)

    def look(self) -> str:
        """Connect again, run nothing, and return the client's verbose output."""
        try:
            done = subprocess.run(
                self._arguments("exit", "-v"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LOOK,
                check=False,
                start_new_session=True,
                env=_environment(),
            )
        except (OSError, HostError, subprocess.TimeoutExpired):
            return ""
        return "\n".join(done.stderr.decode("utf-8", "replace").splitlines())

    def by_hand(self, *command: str, options: Collection[str] = (), program: str = "ssh") -> str:
        """Return the ``ssh`` command that a user would type for this host."""
        destination = self.address.host if self.address.user is None else f"{self.address.user}@{self.address.host}"
        port = [] if self.address.port is None else ["-p", str(self.address.port)]
        return shlex.join([program, *self._file(), *port, *options, destination, *command])

    def _arguments(self, command: str, *more: str) -> list[str]:
        """Return the whole command line."""
        options = {**_OPTIONS, **self._options(self._settings())}
        written = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", *self._file(), *more, *written, *self.address.arguments(), "--", self.address.host, command]

    def _options(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the options that depend on the user's configuration for this host."""
        options = {name: value for name, value in _OPTIONS_SINCE_8_7.items() if name.lower() in settings}
        # an unknown key is refused unless the user configured otherwise; a changed one always is
        lenient = settings.get("stricthostkeychecking") in ("accept-new", "no", "off", "false")
        options["StrictHostKeyChecking"] = "accept-new" if lenient else "yes"
        if settings.get("connecttimeout", "none") in ("none", "0"):
            options["ConnectTimeout"] = str(_CONNECT)
        options["ServerAliveInterval"] = str(max(1, round(self._host_timeout / 3)))
        options["ServerAliveCountMax"] = "3"
        return options

    def _settings(self) -> dict[str, str]:
        """Return the user's configuration for this host, as the client reads it."""
        try:
            done = subprocess.run(
                ["ssh", *self._file(), "-G", *self.address.arguments(), "--", self.address.host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LOOK,
                check=False,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise self._no_client() from None
        except subprocess.TimeoutExpired:
            raise HostError(
                f"host {self.name}: the SSH client needed more than {_LOOK:g} seconds for its configuration. Look for "
                f"a `Match exec` or a canonical name that takes so long: {self.by_hand(options=['-G'])}",
                self.name,
            ) from None
        if done.returncode:
            raise explain(self, done.returncode, done.stderr.decode("utf-8", "replace"))
        pairs = (line.partition(" ") for line in done.stdout.decode("utf-8", "replace").splitlines())
        return {name.lower(): value for name, _, value in pairs}

    def _file(self) -> list[str]:
        return [] if self.config is None else ["-F", str(self.config)]

    def _no_client(self) -> HostError:
        return HostError(
            f"host {self.name}: there is no program `ssh` on this machine. Install OpenSSH's client "
            "(Debian and Ubuntu: apt-get install openssh-client), or put it on the PATH.",
            self.name,
        )

    # --- the workers

    def check(self, host: ConnectedHost) -> None:
        """Compare versions."""
        check_versions(host, [self.python], ignore=self._ignore_versions)

    def command(self, slot: int, start: str, facts: Facts) -> Command:
        """Start a worker as a process of the account."""
        environment = self.worker_environment(slot, facts, self._n_threads)
        return Command([self.python, "-m", "ffnn.parallel.tasks.child"], environment)


def _environment() -> dict[str, str]:
    return {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}  # jump hosts must not ask either


def make_hosts(
    hosts: object, workers_per_host: object = 1, *, config: str | os.PathLike[str] | None = None, **options: Any
) -> list[SSHHost]:
    """Make the hosts of an executor from its checked options.

    Parameters
    ----------
    hosts : sequence of str
        The hosts.
    workers_per_host : int or mapping of str to int, default=1
        The number of workers on each, or for each host its number.
    config : str, path or None, default=None
        The SSH client's configuration file.
    **options
        Options of :class:`SSHHost`.

    Raises
    ------
    TypeError, ValueError
        If something is wrong.
    """
    names = _check_hosts(hosts)
    counts = _check_workers(names, workers_per_host)
    return [SSHHost(name, counts[name], config=config, **options) for name in names]


def _check_hosts(hosts: object) -> list[str]:
    example = "Pass a list of them, for instance hosts=['alpha', 'user@beta:2222']."
    if isinstance(hosts, str | bytes) or not isinstance(hosts, Sequence):
        raise TypeError(f"hosts must be a list of hosts; got {hosts!r} of type {type(hosts).__name__}. {example}")
    if not hosts:
        raise ValueError(f"hosts must name at least one host; got {hosts!r}. {example}")
    known: dict[Address, str] = {}
    for host in hosts:
        address = parse_address(host)
        if address in known:
            raise ValueError(
                f"hosts must name each host once; got {known[address]!r} and {host!r}. For more workers on a host, "
                "pass workers_per_host=2, for instance."
            )
        known[address] = host
    return list(known.values())


def _check_workers(names: Sequence[str], given: object) -> dict[str, int]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, check_count("workers_per_host", given, 1))
    if set(given) != set(names):
        wrong = sorted(map(repr, set(given) ^ set(names)))
        raise ValueError(
            f"workers_per_host must have a number for each of hosts, and for no other; got {given!r}, which differs "
            f"from hosts={list(names)!r} in {', '.join(wrong)}. Pass one number for all of them, or one for each."
        )
    return {name: check_count(f"workers_per_host[{name!r}]", given[name], 1) for name in names}


def check_config(config: object) -> Path | None:
    """Return the path of a configuration file, if it can be read.

    Raises
    ------
    TypeError, ValueError
        If it cannot be read.
    """
    if config is None:
        return None
    remedy = "Pass the path of a file like ~/.ssh/config, or leave it out to use your own."
    if not isinstance(config, str | os.PathLike):
        raise TypeError(f"config must be a path; got {config!r} of type {type(config).__name__}. {remedy}")
    path = Path(config).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError(f"config must be a file that can be read; got {os.fspath(config)!r}. {remedy}")
    return path
