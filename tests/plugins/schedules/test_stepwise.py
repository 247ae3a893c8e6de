from __future__ import annotations

import numpy as np
import pytest

from ffnn.schedules import Stepwise
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import halved, rates


class TestStepwise(ScheduleSuite):
    name = "stepwise"
    schedule = Stepwise(halved)


def test_a_function_of_the_step_is_called_for_each():
    np.testing.assert_array_equal(rates(halved), [halved(step) for step in range(100)])
    with pytest.raises(ValueError, match=r"learning_rate\(3\)=-1: expected .* greater|at least"):
        rates(lambda step: -1 if step == 3 else 0.1)
