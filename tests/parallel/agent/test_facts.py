from __future__ import annotations

import glob
import os
import time

import joblib
import pytest

from ffnn.parallel.agent.facts import facts


def test_facts_are_those_of_this_machine() -> None:
    found = facts()
    assert found["pid"] == os.getpid()
    assert found["cpus"] == joblib.cpu_count()
    assert 0 < found["memory"] <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found["time"] == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize(
    ("visible", "found"), [("", []), ("0", ["0"]), ("1, GPU-a", ["1", "GPU-a"]), ("0,-1,2", ["0"]), ("-1", [])]
)
def test_visible_gpus_are_heeded(visible: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert facts()["gpus"] == found


def test_gpus_are_found_by_their_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices = ["/dev/nvidia1", "/dev/nvidia0", "/dev/nvidia0x"]
    monkeypatch.setattr(glob, "glob", lambda _: devices)
    assert facts()["gpus"] == ["0", "1"]
