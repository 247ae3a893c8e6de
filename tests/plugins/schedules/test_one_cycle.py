from __future__ import annotations

import numpy as np
import pytest

from ffnn.schedules import OneCycle
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestOneCycle(ScheduleSuite):
    name = "one_cycle"


def test_one_cycle_rises_and_falls():
    found = rates(OneCycle(0.25, rise=0.3, first_divisor=25, last_divisor=100))
    assert found[0] == pytest.approx(0.01)
    assert found.argmax() == 30
    assert found.max() == pytest.approx(0.25)
    assert np.all(np.diff(found[:31]) > 0)
    assert np.all(np.diff(found[30:]) < 0)
    assert found[-1] < 0.001
