"""An engine's import: what it leaves as it was, and what it says to the engine."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffnn.builders._engines import _Unloadable, import_engine

pytestmark = pytest.mark.slow

VARIABLES = ("TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that stands for an engine, as its import takes seconds."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "some_engine.py").write_text("import gc, os\ncollects = gc.isenabled()\nseen = dict(os.environ)\n")
    yield tmp_path
    sys.modules.pop("some_engine", None)
    gc.enable()


def test_nothing_is_collected_meanwhile(engine: Path) -> None:
    import_engine("some_engine")
    assert sys.modules["some_engine"].collects is False
    assert gc.isenabled()
    import_engine("some_engine")  # is there already
    assert gc.isenabled()


def test_it_is_there_when_another_thread_was_first(engine: Path) -> None:
    (engine / "some_engine.py").write_text("import time\ntime.sleep(1)\nready = True\n")
    first = threading.Thread(target=import_engine, args=("some_engine",))
    first.start()
    while "some_engine" not in sys.modules:
        time.sleep(0.01)
    import_engine("some_engine")
    assert sys.modules["some_engine"].ready
    first.join()


def test_a_collector_that_is_off_stays_off(engine: Path) -> None:
    gc.disable()
    import_engine("some_engine")
    assert not gc.isenabled()


def test_an_import_that_fails_turns_the_collector_on_again(engine: Path) -> None:
    (engine / "some_engine.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        import_engine("some_engine")
    assert gc.isenabled()


def test_what_the_user_has_said_stays(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    import_engine("some_engine")
    seen = sys.modules["some_engine"].seen
    assert [seen[name] for name in VARIABLES] == ["0", "true", "false"]


def test_what_is_left_out_is_found_but_not_loaded(engine: Path) -> None:
    finder = _Unloadable("some_engine")
    sys.meta_path.insert(0, finder)
    try:
        spec = importlib.util.find_spec("some_engine")
        assert spec is not None
        assert spec.origin == str(engine / "some_engine.py")
        with pytest.raises(ImportError, match="some_engine is not imported before it is needed"):
            importlib.import_module("some_engine")
        other = threading.Thread(target=importlib.import_module, args=("some_engine",))
        other.start()
        other.join()
        assert "some_engine" in sys.modules  # another thread may have it
    finally:
        sys.meta_path.remove(finder)
