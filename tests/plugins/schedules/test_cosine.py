from __future__ import annotations

import numpy as np
import pytest

from ffnn.schedules import Cosine
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestCosine(ScheduleSuite):
    name = "cosine"


def test_a_cosine_falls_from_its_first_rate_to_its_last_and_stays():
    found = rates(Cosine(0.5, 0.1), n_epochs=20, horizon=10)
    assert found[0] == 0.5
    assert found[50] == pytest.approx(0.3)
    assert np.all(np.diff(found[:100]) < 0)
    np.testing.assert_allclose(found[100:], 0.1)
