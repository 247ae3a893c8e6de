from __future__ import annotations

import numpy as np

from ffnn.schedules import InverseScaling
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestInverseScaling(ScheduleSuite):
    name = "inverse_scaling"


def test_inverse_scaling_is_scikit_learns():
    np.testing.assert_allclose(rates(InverseScaling(0.5, 0.3)), 0.5 / np.arange(1, 101) ** 0.3)
