"""Compiles the kernels in C when the package is built; without a compiler it is built without them."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: As ffnn/kernels/__init__.py knows them: what the processor must have, as the compilers' names say it.
LEVELS = {0: None, 3: "x86-64-v3", 4: "x86-64-v4"}
FOLDERS = ["ffnn/kernels", "ffnn_plugins/builders/_native"]
OPTIONS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-s"]


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds a shared library for each C file and level."""

    def dependencies(self) -> list[str]:
        """Return what brings a compiler where the system has none."""
        return [] if shutil.which("cc") else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say that the wheel is of this platform."""
        levels = LEVELS if platform.machine() in ("x86_64", "AMD64") else {0: None}
        sources = [source for folder in FOLDERS for source in Path(self.root, folder).glob("*.c")]
        made = [self.compile(source, level, name) for source in sources for level, name in levels.items()]
        if not any(made):
            return
        build_data["artifacts"] += [f"{folder}/*.so" for folder in FOLDERS]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def compile(self, source: Path, level: int, name: str | None) -> bool:
        """Return whether a library could be made; one that is newer than its sources is kept."""
        target = source.with_name(f"{source.stem}-{level}.so")
        headers = [header for folder in FOLDERS for header in Path(self.root, folder).glob("*.h")]
        newest = max(file.stat().st_mtime for file in (source, *headers))
        if target.exists() and target.stat().st_mtime > newest:
            return True
        if shutil.which("cc"):
            command, architecture = ["cc"], "-march="
        else:
            command, architecture = [sys.executable, "-m", "ziglang", "cc"], "-mcpu="
            name = name.replace("-", "_") if name else "baseline"  # otherwise Zig's is this machine's own
        options = [*OPTIONS, *([architecture + name] if name else [])]
        options += ["-mprefer-vector-width=512"] if level == 4 else []
        done = subprocess.run(
            [*command, *options, str(source), "-o", str(target), "-lm"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.app.display_warning(f"ffnn is built without {target.name}: {done.stderr.strip()[-500:]}")
        return done.returncode == 0
