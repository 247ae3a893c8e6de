"""An engine's import, as somebody wants it who asked for a fit: quiet, soon done, and with room for others on a GPU."""

from __future__ import annotations

import gc
import importlib
import os
import sys

__all__ = ["import_engine", "prepare_engines"]


def import_engine(name: str) -> None:
    """Import ``tensorflow`` or ``keras``, which takes seconds, once a process."""
    prepare_engines()
    if name in sys.modules or not gc.isenabled():
        importlib.import_module(name)
        return
    # Such an import makes hundreds of thousands of objects that stay. Python's collector would go through all of them
    # time and again while it lasts (a quarter of it), and once more in the midst of the first fit.
    gc.disable()
    try:
        importlib.import_module(name)
    finally:
        gc.enable()
    gc.collect()


def prepare_engines() -> None:
    """Say in the environment what the engines shall do, unless the user has said otherwise, before they start."""
    # print errors only, not what they think of their build, of the hardware, and of each graph in float64
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # take a GPU's memory as they need it: they would take all at once, and the next process there would find none
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
