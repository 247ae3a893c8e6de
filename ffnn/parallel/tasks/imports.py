"""Hooks that report when a task imports modules, so that importing an engine does not count as running time."""

from __future__ import annotations

import importlib.machinery
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

__all__ = ["seconds_of_imports", "watch_imports"]

_seconds = 0.0
_began: float | None = None  # when the import that runs began


def seconds_of_imports() -> float:
    """Return the seconds that the watched imports have taken so far, from any thread."""
    began = _began
    return _seconds if began is None else _seconds + time.perf_counter() - began


class _Watcher:
    """A finder that finds no modules, but notes the outermost imports of the thread that made it."""

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell = tell
        self._thread = threading.get_ident()
        self._busy = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if self._busy or threading.get_ident() != self._thread:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
                    self._mark(spec.loader)
                return spec
        return None

    def _mark(self, loader: importlib.machinery.SourceFileLoader) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            global _seconds, _began
            del loader.exec_module  # restore the method of the class
            self._busy = True
            self._tell(True)
            _began = start = time.perf_counter()
            try:
                execute(module)
            finally:
                _began = None
                _seconds += time.perf_counter() - start
                self._busy = False
                self._tell(False)

        marked: Any = loader
        marked.exec_module = exec_module


def watch_imports(tell: Callable[[bool], None]) -> None:
    """Call ``tell(True)`` before, ``tell(False)`` after every outermost import by this thread."""
    sys.meta_path.insert(0, _Watcher(tell))
