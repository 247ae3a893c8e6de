from __future__ import annotations

import numpy as np

from ffnn.schedules import Linear
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestLinear(ScheduleSuite):
    name = "linear"


def test_a_line_falls_evenly_and_stays():
    found = rates(Linear(0.5, 0.1), n_epochs=20, horizon=10)
    np.testing.assert_allclose(found[:101], np.linspace(0.5, 0.1, 101))
    np.testing.assert_allclose(found[100:], 0.1)
