from __future__ import annotations

import numpy as np

from ffnn.schedules import Exponential
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import N_BATCHES, rates


class TestExponential(ScheduleSuite):
    name = "exponential"


def test_an_exponential_is_multiplied_from_epoch_to_epoch():
    np.testing.assert_allclose(rates(Exponential(0.5, 0.9))[::N_BATCHES], 0.5 * 0.9 ** np.arange(10))
