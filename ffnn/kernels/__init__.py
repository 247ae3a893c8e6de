"""Compiled kernels for operations that no engine has: plain C, built with the package, called through ctypes.

There is one library per instruction set; :func:`load` takes the best that runs here. If the package was built without a
compiler there are none, and callers take another path. The environment variable ``FFNN_KERNELS`` names another folder
of libraries, such as one of libraries built with sanitizers.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

__all__ = ["LEVELS", "describe", "level_name", "load"]

#: The instruction sets that libraries are built for: levels of x86-64, and 0 for what every processor has.
LEVELS = (4, 3, 0)

_NAMES = {4: "AVX-512", 3: "AVX2", 0: "any processor"}
_FOLDER = Path(__file__).parent
#: As hatch_build.py knows them: where there are files in C.
_FOLDERS = (_FOLDER, _FOLDER.parents[1] / "ffnn_plugins" / "builders" / "_native")


@functools.cache
def load(name: str, folder: Path = _FOLDER) -> ctypes.CDLL | None:
    """Return the library of the C file ``name`` for this processor, or None if there is none.

    The environment variable ``FFNN_KERNELS_LEVEL`` names the highest level that may be taken, for tests and benchmarks.

    Raises
    ------
    ValueError
        If that is not a level.
    """
    plain = _open(name, LEVELS[-1], folder)
    if plain is None:
        return None
    highest = _highest_level()
    libraries = (_open(name, level, folder) for level in LEVELS if level <= highest and plain.ffnn_runs(level))
    return next(library for library in libraries if library is not None)


def _highest_level() -> int:
    level = os.environ.get("FFNN_KERNELS_LEVEL", str(LEVELS[0]))
    if level not in map(str, LEVELS):
        raise ValueError(f"FFNN_KERNELS_LEVEL={level!r}: expected one of {LEVELS}. Unset it to take the best.")
    return int(level)


def describe() -> str:
    """Return a line with the kernels found, or with a remedy if there are none."""
    files = [path for folder in _FOLDERS for path in sorted(folder.glob("*.c"))]
    found = {path.stem: library for path in files if (library := load(path.stem, path.parent)) is not None}
    if not found:
        remedy = "Install a C compiler, then ffnn anew."
        return f"kernels: none, so that all is trained on TensorFlow, and sparse data takes longer there. {remedy}"
    return "kernels: " + ", ".join(f"{name} (for {level_name(library)})" for name, library in found.items())


def level_name(library: ctypes.CDLL) -> str:
    """Return the instructions that a library was compiled for: ``"AVX-512"``, ``"AVX2"`` or ``"any processor"``."""
    return _NAMES[int(library._name.rpartition("-")[2].partition(".")[0])]


def _open(name: str, level: int, folder: Path = _FOLDER) -> ctypes.CDLL | None:
    folder = Path(os.environ.get("FFNN_KERNELS") or folder)
    try:
        return ctypes.CDLL(str(folder / f"{name}-{level}.so"))
    except OSError:
        return None
