from __future__ import annotations

from ffnn.schedules import Constant, as_schedule
from ffnn.testing.schedules import ScheduleSuite
from tests.support.schedules import rates


class TestConstant(ScheduleSuite):
    name = "constant"


def test_a_number_is_constant():
    assert isinstance(as_schedule(0.5), Constant)
    assert set(rates(0.5)) == {0.5}
