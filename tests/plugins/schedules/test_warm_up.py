from __future__ import annotations

import numpy as np

from ffnn.schedules import Cosine, WarmUp
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestWarmUp(ScheduleSuite):
    name = "warm_up"
    schedule = WarmUp(Cosine(0.02), 2)


def test_warming_up_reaches_what_follows():
    found = rates(WarmUp(Cosine(0.5), n_epochs=2))
    assert 0 < found[0] < 0.01
    assert np.all(np.diff(found[:18]) > 0)
    np.testing.assert_array_equal(found[20:], rates(Cosine(0.5))[20:])
