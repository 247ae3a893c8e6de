from __future__ import annotations

import numpy as np
import pytest

from ffnn.schedules import CosLog, as_schedule
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestCosLog(ScheduleSuite):
    name = "cos_log"


def test_coslog_rises_and_falls_in_cycles_each_about_twice_as_long_as_the_last():
    """The paper's formula with 4 cycles: they end where 1 + 15 t is a power of two."""
    found = rates(CosLog(0.5, n_cycles=4), n_epochs=15)
    t = np.arange(150) / 150
    np.testing.assert_allclose(found, 0.5 * (0.5 - 0.5 * np.cos(2 * np.pi * np.log2(1 + 15 * t))), atol=1e-12)
    np.testing.assert_allclose(found[[0, 10, 30, 70]], 0, atol=1e-12)
    peaks = [i for i in range(1, 149) if found[i - 1] < found[i] >= found[i + 1]]
    assert len(peaks) == 4
    assert found.max() == pytest.approx(0.5, rel=1e-3)


def test_coslog_counts_its_cycles():
    with pytest.raises(TypeError, match="learning_rate.n_cycles=2.5: expected a positive integer"):
        as_schedule(CosLog(n_cycles=2.5))
