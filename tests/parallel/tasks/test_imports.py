from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffnn.parallel.tasks.imports import watch_imports


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    (tmp_path / "inner_module.py").touch()
    (tmp_path / "outer_module.py").write_text("import inner_module")
    (tmp_path / "broken_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    before = list(sys.meta_path)
    told: list[bool] = []
    watch_imports(told.append)
    yield told
    sys.meta_path[:] = before
    for name in ("inner_module", "outer_module"):
        sys.modules.pop(name, None)


def test_only_the_outermost_import_is_told(told: list[bool]) -> None:
    module = importlib.import_module("outer_module")
    assert told == [True, False]
    assert not {"exec_module"} & set(vars(module.__loader__))
    importlib.import_module("inner_module")  # already there
    assert told == [True, False]


def test_an_import_that_fails_is_told_to_the_end(told: list[bool]) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            importlib.import_module("broken_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module")
    assert told == [True, False] * 2


def test_other_threads_are_not_told(told: list[bool]) -> None:
    thread = threading.Thread(target=importlib.import_module, args=("outer_module",))
    thread.start()
    thread.join()
    assert told == []
    assert "inner_module" in sys.modules
