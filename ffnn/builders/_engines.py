"""Importing an engine quickly and quietly, and without taking all of a GPU's memory."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from ffnn._utils.forks import check_not_forked
from ffnn.builders._quiet import has_gpu_driver, quiet_start

__all__ = ["check_tensorflow", "import_engine", "keras_backend"]


def import_engine(name: str) -> None:
    """Import ``tensorflow`` or ``keras``, which takes seconds, once a process."""
    _prepare()
    if name in sys.modules:
        importlib.import_module(name)  # waits if another thread is importing it
        return
    with quiet_start():
        with _keras_left_out() if name == "tensorflow" else nullcontext(), _collector_paused():
            importlib.import_module(name)
        _look_for_gpus()


def check_tensorflow() -> None:
    """Raise an error if TensorFlow is imported but cannot run here.

    Raises
    ------
    ForkedEngineError
        In a forked child of a process in which it had run.
    RuntimeError
        In graph mode, in which operations are recorded and not run.
    """
    check_not_forked("tensorflow")
    tf = sys.modules.get("tensorflow")
    # while another thread imports it, this may still be missing
    if tf is not None and hasattr(tf, "executing_eagerly") and not tf.executing_eagerly():
        raise RuntimeError(
            "TensorFlow does not run operations here, but writes them into a graph. Call fit, predict and the like "
            "outside of tf.Graph() and of tf.function, and leave out tf.compat.v1.disable_eager_execution()."
        )


def keras_backend() -> str:
    """Return the backend that Keras will run on, by its own rule: the environment, its file of settings, TensorFlow."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((folder / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def _prepare() -> None:
    """Set the engines' options in the environment, unless the user has set them."""
    # print errors only, and no remarks on the build, the hardware and graphs in float64
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # allocate a GPU's memory as needed: by default they take all of it and leave none for another process
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _look_for_gpus() -> None:
    """Make TensorFlow find out that there is no GPU, where there is none, which it prints as an error."""
    tf = sys.modules.get("tensorflow")
    # where there is a driver, it stays untouched before the first operation: a forked child could not use it
    if tf is not None and hasattr(tf, "config") and not has_gpu_driver():
        tf.config.list_physical_devices()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector during an import, which makes hundreds of thousands of lasting objects.

    Its passes take a quarter of the import's time. One runs at the end, so that it does not interrupt the first fit.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.collect()


@contextmanager
def _keras_left_out() -> Iterator[None]:
    """Keep TensorFlow from importing Keras until it is needed.

    At the end of its import TensorFlow imports Keras, for what Keras registers with it, and goes on if that fails.
    Keras 3 registers nothing, but costs 0.15 to 0.7 s and 15 to 40 MB, since it imports pandas, Matplotlib, JAX and
    more if they are installed. ``tf.keras`` imports it when it is first used.
    """
    legacy = os.environ.get("TF_USE_LEGACY_KERAS") in ("true", "True", "1")  # Keras 2, which does register
    if legacy or "keras" in sys.modules:
        yield
        return
    finder = _Unloadable("keras")
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Unloadable(MetaPathFinder, Loader):
    """Finds a package, whose path TensorFlow asks for, but refuses to load it in the thread that made this finder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        raise ImportError(f"{self.name} is not imported before it is needed", name=self.name)

    def exec_module(self, module: ModuleType) -> None:
        raise NotImplementedError  # never called, since no module is created
