"""Pythons as other machines have them: real virtual environments of this machine, and a host that is this machine."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ffnn.parallel.preflight import versions
from ffnn.parallel.preflight.compare import Report

__all__ = ["Completed", "Here", "make_python"]


@dataclass
class Completed:
    exit_code: int
    stdout: bytes
    stderr: str


class Here:
    """Runs commands as the agent of a host does, on this machine and with nothing between."""

    def __init__(self, name: str = "alpha") -> None:
        self.name = name
        self.report: Report | None = None
        self.commands: list[list[str]] = []

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Completed:
        self.commands.append([*argv])
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, cwd="/"
            )
        except OSError as error:
            return Completed(127, b"", f"cannot run {argv[0]}: {error.strerror}\n")
        return Completed(done.returncode, done.stdout, done.stderr.decode())


def make_python(folder: Path, **installed: str | None) -> Path:
    """Make a virtual environment in which the packages are installed as here, but for those named; return its Python.

    They are installed as far as pip, and whoever asks for versions, can see. A name's `_` stands for `-`; None leaves
    the package out, and ``everything=None`` all of them.
    """
    venv.create(folder, with_pip=False)
    chosen: dict[str, str | None] = {} if "everything" in installed else dict(versions.look()["packages"])
    chosen |= {name.replace("_", "-"): version for name, version in installed.items() if name != "everything"}
    site = folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for name, version in chosen.items():
        if version is not None:
            info = site / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder / "bin" / "python"
