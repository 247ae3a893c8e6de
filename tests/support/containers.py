"""Real containers for tests: Debian's podman and runc, with a storage of their own.

The image is empty. What runs in it (the system's libraries, Python, the virtual environment, this repository) is
mounted read-only from this machine at the same paths, so that an image costs nothing to make and nothing is pulled.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import lacks, needs

__all__ = ["Podman", "podman"]

ROOT = Path(__file__).parents[2]
_SYSTEM = ("bin", "lib", "lib64", "sbin")


class Podman:
    """An engine whose containers and images are seen by nobody else.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; its own from here on.

    Attributes
    ----------
    engine : tuple of str
        The command.
    image : str
        The image that :meth:`options` uses.
    """

    image = "localhost/ffnn-test:1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folders = {name: str(folder / name) for name in ("root", "runroot", "tmpdir", "volumepath")}
        self.engine = (
            *("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"),
            *("--storage-driver", "vfs", "--events-backend", "file"),
            *(word for name, path in folders.items() for word in (f"--{name}", path)),
        )
        archive = folder / "image.tar"
        archive.write_bytes(_skeleton())
        self.run("import", str(archive), self.image)

    def run(self, *arguments: str, timeout: float = 60) -> str:
        """Run a command of the engine and return what it printed."""
        done = subprocess.run([*self.engine, *arguments], capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise RuntimeError(f"podman {arguments[0]} ended with exit code {done.returncode}:\n{done.stderr}")
        return done.stdout

    def containers(self, *, alive: bool = False) -> list[str]:
        """Name the containers that exist, or only those that run."""
        return self.run("ps", *(() if alive else ("-a",)), "--format", "{{.Names}}").split()

    def wait_for(self, *, n: int, alive: bool = False, timeout: float = 20) -> list[str]:
        """Wait until there are exactly so many containers, and return their names."""
        until = time.monotonic() + timeout
        while len(found := self.containers(alive=alive)) != n:
            assert time.monotonic() < until, found
            time.sleep(0.1)
        return found

    def clients(self, name: str) -> list[int]:
        """List the processes of the engine's client that hold a container."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"podman") and b"run" in words and name.encode() in words:
                found.append(int(pid))
        return found

    def mounts(self) -> dict[str, str]:
        """Return the mounts that make Python run in the empty image."""
        system = ["/usr", *(f"/{name}" for name in _SYSTEM if not os.path.islink(f"/{name}"))]
        return {path: path for path in [*system, str(ROOT), sys.prefix, sys.base_prefix] if os.path.isdir(path)}

    def options(self, writable: Sequence[Path] = (), **changes: Any) -> dict[str, Any]:
        """Return the executor's options by which its workers run here; in `writable` folders they may write."""
        for folder in writable:
            folder.chmod(0o777)
        mounts = self.mounts() | {str(folder): f"{folder}:rw" for folder in writable}
        # more than this is not allowed where these tests commonly run
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
        common = {"image": self.image, "engine": self.engine, "python": sys.executable, "mounts": mounts}
        return common | {"arguments": limits, "memory": "2g"} | changes

    def close(self) -> None:
        """Remove everything."""
        names = self.containers()
        if names:
            self.run("rm", "-f", "-t", "0", *names)
        self.run("rmi", "-f", "-a")
        shutil.rmtree(self.folder)


def _skeleton() -> bytes:
    """Pack a root file system in which there is nothing but where to mount things."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, mode in {**dict.fromkeys(("usr", "etc", "proc", "sys", "dev"), 0o755), "tmp": 0o1777}.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for name in _SYSTEM:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            if os.path.islink(f"/{name}"):
                entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(entry)
        for name, text in {"etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": "root:x:0:\n"}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """An engine with an image in which the tests' own Python runs."""
    needs("podman", "runc")
    if os.geteuid() != 0:
        lacks("containers are tested as root, which alone may set limits on every kernel")
    # not pytest's own folder: its path is long, and the sockets in there have short names only
    engine = Podman(Path(tempfile.mkdtemp(prefix="ffnn-podman-")))
    try:
        yield engine
    finally:
        engine.close()
