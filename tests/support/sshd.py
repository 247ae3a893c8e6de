"""Real SSH servers on loopback addresses, for tests: Debian's sshd, with keys and a configuration of their own.

A host is stopped by its own process ids. What runs "on" it is known by a variable of its environment, so that a test
can list it even after its parents have died.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from tests.support.needs import needs

__all__ = ["Host", "Network", "own_ssh_network", "ssh_network"]

Kind = TypeVar("Kind", bound="Network")
SSHD = "/usr/sbin/sshd"
_START = 10.0  # seconds for a server to answer
_OPTIONS = """\
PidFile none
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
AllowTcpForwarding yes
LogLevel VERBOSE
"""


class Host:
    """A machine that has nothing but an SSH server.

    Parameters
    ----------
    name : str
        What the client's configuration calls it.
    address : str
        Where it listens, on a free port.
    folder : Path
        Where it keeps its files.
    key : Path
        The client's public key, which it lets in.
    inside : sequence of str
        The command by which a program is run on it, if it is not simply run (``ip netns exec ...``).
    options : str
        Further lines of its configuration.
    """

    def __init__(
        self, name: str, address: str, folder: Path, key: Path, inside: Sequence[str] = (), options: str = ""
    ) -> None:
        self.name = name
        self.address = address
        self.folder = folder
        self.options = options
        self.tmp = folder / "tmp"  # what programs on the host have as their folder for temporary files
        self.known_as = folder / "known_as"  # the client's file of the keys that it knows
        # in a namespace of its own every port is free
        self._port = 22 if inside else None
        self.port = self._port or 0
        self._inside = list(inside)
        self._client_key = key.read_text()
        self._server: subprocess.Popen[bytes] | None = None
        self.tmp.mkdir(parents=True)
        self.let_in()
        self.change_key()
        self.start()
        self.make_known()

    # --- the server

    def start(self) -> None:
        """Start the server, at the port it had before if that is still free."""
        until = time.monotonic() + _START
        while True:
            if self._port is None:
                self.port = _free_port(self.address)
            self._server = subprocess.Popen(
                [*self._inside, SSHD, "-D", "-E", str(self.log), "-f", str(self._configuration())],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            while self._server.poll() is None and time.monotonic() < until:
                if _answers(self.address, self.port) and self._server.poll() is None:
                    self._port = self.port
                    return
                time.sleep(0.005)
            if time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"sshd did not start on {self.address}:{self.port}:\n{self.log.read_text()}")
            time.sleep(0.05)  # another program was faster at that port

    def stop(self) -> None:
        """Take no more connections; those that exist go on."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(10)

    def kill(self) -> None:
        """Crash: the server and everything that runs on the host is gone at once."""
        processes = self.processes()
        if self._server is not None and self._server.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                processes += psutil.Process(self._server.pid).children(recursive=True)
            self._server.kill()
            self._server.wait(10)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def restart(self) -> None:
        """Let a changed configuration or key count for new connections."""
        self.stop()
        self.start()

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.folder / "log"

    # --- what can be wrong with it

    def change_key(self) -> str:
        """Make a new host key and return its fingerprint; it counts after a :meth:`restart`."""
        for file in (self.folder / "host_key", self.folder / "host_key.pub"):
            file.unlink(missing_ok=True)
        make_key(self.folder / "host_key")
        return self.fingerprint

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its key."""
        command = ["ssh-keygen", "-l", "-f", str(self.folder / "host_key.pub")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]

    def make_known(self) -> None:
        """Enter its key in the client's file of known keys."""
        kind, key, *_ = (self.folder / "host_key.pub").read_text().split()
        name = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
        self.known_as.write_text(f"{name} {kind} {key}\n")

    def forget(self) -> None:
        """Empty the client's file of known keys."""
        self.known_as.write_text("")

    def let_in(self) -> None:
        """Let the client's key in."""
        (self.folder / "authorized_keys").write_text(self._client_key)

    def keep_out(self) -> None:
        """Let nobody in."""
        (self.folder / "authorized_keys").write_text("")

    # --- what runs on it

    def processes(self) -> list[psutil.Process]:
        """List what sessions have started on it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
                if f"FFNN_TEST_HOST={self.folder}".encode() in environment:
                    found.append(process)
        return found

    def wait_until_idle(self, within: float = 10.0) -> None:
        """Wait until nothing runs on it and no file is left; fail if that takes longer than `within` seconds."""
        until = time.monotonic() + within
        while (processes := self.processes()) or list(self.tmp.iterdir()):
            if time.monotonic() > until:
                names = [" ".join(process.cmdline())[:200] for process in processes if process.is_running()]
                raise AssertionError(f"left on {self.name}: {names}, {list(self.tmp.iterdir())}")
            time.sleep(0.02)

    def _configuration(self) -> Path:
        path = self.folder / "sshd_config"
        path.write_text(
            f"{self.options}\nListenAddress {self.address}\nPort {self.port}\nHostKey {self.folder}/host_key\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\n{_OPTIONS}"
            f'SetEnv "FFNN_TEST_HOST={self.folder}" "TMPDIR={self.tmp}"\n'
        )
        return path


class Network:
    """Hosts, and a client's configuration that knows them: ``ssh -F network.config alpha`` works.

    Parameters
    ----------
    folder : Path
        Where everything is kept; its path must be short.
    hosts : mapping of str to str
        Names and addresses.
    inside : mapping of str to sequence of str
        For each name, the command by which a program is run there.
    """

    def __init__(
        self, folder: Path, hosts: Mapping[str, str], inside: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.folder = folder
        self.key = make_key(folder / "client_key")
        self.config = folder / "config"
        self.hosts: dict[str, Host] = {}
        try:
            for name, address in hosts.items():
                self.hosts[name] = Host(
                    name, address, folder / name, folder / "client_key.pub", (inside or {}).get(name, ())
                )
        except BaseException:
            self.close()
            raise
        self.configure()

    def __getitem__(self, name: str) -> Host:
        """Return a host by its name."""
        return self.hosts[name]

    def configure(self, before: str = "", **options: str) -> None:
        """Write the client's configuration.

        Parameters
        ----------
        before : str
            Lines that come first, and so override.
        **options : str
            For each host, further lines of its block.
        """
        blocks = [before]
        for name, host in self.hosts.items():
            blocks.append(
                f"Host {name}\n    HostName {host.address}\n    Port {host.port}\n"
                f"    UserKnownHostsFile {host.known_as}\n{options.get(name, '')}\n"
            )
        blocks.append(
            f"Host *\n    IdentityFile {self.key}\n    IdentitiesOnly yes\n    GlobalKnownHostsFile /dev/null\n"
        )
        self.config.write_text("\n".join(blocks))

    def ssh(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run the client."""
        command = ["ssh", "-F", str(self.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)  # type: ignore[call-overload,no-any-return]

    def close(self) -> None:
        """Stop everything."""
        for host in self.hosts.values():
            host.kill()


def make_key(path: Path) -> Path:
    """Make a key that no passphrase protects."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path


@contextlib.contextmanager
def network(
    kind: type[Kind], hosts: Mapping[str, str], inside: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Kind]:
    """Start hosts, and stop them."""
    needs(SSHD, "ssh", "ssh-keygen", package="openssh-server")
    if os.getuid() == 0:  # the server wants a folder in which its unprivileged part is locked up
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ffnn-ssh-"))
    try:
        made = kind(folder, hosts, inside)
        try:
            yield made
        finally:
            made.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ssh_network() -> Iterator[Network]:
    """Two hosts, ``alpha`` and ``beta``, which tests share: leave them as they are."""
    with network(Network, {"alpha": "127.0.0.2", "beta": "127.0.0.3"}) as made:
        yield made


@pytest.fixture
def own_ssh_network() -> Iterator[Network]:
    """Two hosts, ``alpha`` and ``beta``, which the test may stop, change and break."""
    with network(Network, {"alpha": "127.0.0.2", "beta": "127.0.0.3"}) as made:
        yield made


def _free_port(address: str) -> int:
    with socket.socket() as found:
        found.bind((address, 0))
        return int(found.getsockname()[1])


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), 1.0) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
