"""An engine's import: what it leaves as it was, and what it says to the engine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffnn.builders._engines import import_engine

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
