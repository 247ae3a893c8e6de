"""Compiles the kernels in C when the package is built; without a compiler it is built without them.

With ``x86_64`` or ``aarch64`` in the environment variable ``FFNN_WHEEL`` it is a wheel for the package index, which any
Linux of the last ten years can install. Zig compiles that, on a machine of either kind, and no kernel may be missing.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from itertools import starmap
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: As ffnn/kernels/__init__.py knows them: what the processor must have, as the compilers' names say it.
LEVELS = {0: None, 3: "x86-64-v3", 4: "x86-64-v4"}
FOLDERS = ["ffnn/kernels", "ffnn_plugins/builders/_native"]
OPTIONS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fPIC", "-shared", "-s"]
#: The processors of the wheels for the index, and the oldest GNU C library that they run with.
PROCESSORS = ("x86_64", "aarch64")
GLIBC = (2, 17)


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds a shared library for each C file and level."""

    def dependencies(self) -> list[str]:
        """Return what brings a compiler where the system has none, or where it must be Zig's."""
        return ["ziglang>=0.14"] if wanted() or not shutil.which("cc") else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say which machines can install the wheel."""
        processor = wanted()
        if processor:
            self.for_the_index(processor, build_data)
        elif any(list(starmap(self.compile, self.libraries(platform.machine())))):
            build_data["artifacts"] += [f"{folder}/*.so" for folder in FOLDERS]
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def for_the_index(self, processor: str, build_data: dict[str, Any]) -> None:
        """Compile for any machine with this processor; the libraries beside the sources are this machine's."""
        self.scratch = Path(tempfile.mkdtemp(prefix="ffnn-kernels-"))
        major, minor = GLIBC
        for source, target, level in self.libraries(processor):
            made = self.scratch / target.name
            if not self.compile(source, made, level, f"{processor}-linux-gnu.{major}.{minor}"):
                raise RuntimeError(f"{target.name} could not be compiled for {processor}; the warning above says why.")
            build_data["force_include"][str(made)] = str(target.relative_to(self.root))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_{major}_{minor}_{processor}.manylinux2014_{processor}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled for the index; it is in the wheel now."""
        if hasattr(self, "scratch"):
            shutil.rmtree(self.scratch, ignore_errors=True)

    def libraries(self, machine: str) -> Iterator[tuple[Path, Path, int]]:
        """Yield the source, the library and the level of each that a machine needs."""
        for folder in FOLDERS:
            for source in sorted(Path(self.root, folder).glob("*.c")):
                for level in LEVELS if machine in ("x86_64", "AMD64") else (0,):
                    yield source, source.with_name(f"{source.stem}-{level}.so"), level

    def compile(self, source: Path, target: Path, level: int, triple: str | None = None) -> bool:
        """Return whether a library could be made; one that is newer than its sources is kept."""
        headers = [header for folder in FOLDERS for header in Path(self.root, folder).glob("*.h")]
        newest = max(file.stat().st_mtime for file in (source, *headers))
        if target.exists() and target.stat().st_mtime > newest:
            return True
        name = LEVELS[level]
        if shutil.which("cc") and not triple:
            command = ["cc", *([f"-march={name}"] if name else [])]
        else:  # without a name, Zig's processor is this machine's own
            name = name.replace("-", "_") if name else "baseline"
            command = [sys.executable, "-m", "ziglang", "cc", f"-mcpu={name}", *(["-target", triple] if triple else [])]
        options = [*OPTIONS, *(["-mprefer-vector-width=512"] if level == 4 else [])]
        done = subprocess.run(
            [*command, *options, str(source), "-o", str(target), "-lm"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.app.display_warning(f"ffnn is built without {target.name}: {done.stderr.strip()[-500:]}")
        return done.returncode == 0


def wanted() -> str | None:
    """Return the processor of the wheel for the package index that is wanted; None for a wheel of this machine.

    Raises
    ------
    ValueError
        If there is no such wheel.
    """
    name = os.environ.get("FFNN_WHEEL") or None
    if name not in (None, *PROCESSORS):
        known = " or ".join(PROCESSORS)
        raise ValueError(f"FFNN_WHEEL={name!r}: expected {known}. Unset it to build for this machine.")
    return name
