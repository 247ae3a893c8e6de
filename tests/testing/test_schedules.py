"""Each test of the suite of schedules fails for a schedule that is broken in that way."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from ffnn import Cosine, Linear
from ffnn.testing.schedules import ScheduleSuite
from tests.support.broken import Broken, check, clauses


class CopiesToAnother(Linear):
    def __deepcopy__(self, memo):
        return Linear(0.5)


class OneRate(Linear):
    def rates(self, steps, times, horizon):
        return np.float64(0.1)


class OfTheCall(Linear):
    def rates(self, steps, times, horizon):
        return np.full(len(steps), 1 / len(steps))


class BelowZero(Linear):
    def rates(self, steps, times, horizon):
        return 0.1 * (1 - times / horizon)


class Ages(Linear):
    """Halves its rates from call to call."""

    def rates(self, steps, times, horizon):
        self.initial = self.initial / 2
        return super().rates(steps, times, horizon)


BROKEN = [
    Broken(Cosine(), "test_the_name_is_registered"),
    Broken(CopiesToAnother(), "test_a_copy_is_equal", (copy.deepcopy,)),
    Broken(OneRate(), "test_there_is_a_rate_for_each_step"),
    Broken(OfTheCall(), "test_a_rate_depends_on_no_other_step"),
    Broken(BelowZero(), "test_past_its_end_it_has_rates_too"),
    Broken(Ages(), "test_fit_is_as_many_partial_fits"),
]


def test_there_is_a_broken_schedule_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(ScheduleSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_a_broken_schedule_is_found_out(broken):
    check(ScheduleSuite, broken, name="linear", schedule=broken.plugin)
