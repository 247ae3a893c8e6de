from __future__ import annotations

import numpy as np

from ffnn.solvers import Adagrad
from ffnn.testing.solvers import SolverSuite
from tests.support.solvers import GRADIENTS, RATE, steps


class TestAdagrad(SolverSuite):
    name = "adagrad"
    rate = 0.3


def test_adagrad_divides_by_the_root_of_the_sum():
    sums = 0.25 + np.cumsum(GRADIENTS**2, axis=0)
    expected = 1 - np.cumsum(RATE * GRADIENTS / np.sqrt(sums), axis=0)
    np.testing.assert_allclose(steps(Adagrad(initial_sum=0.25)), expected, rtol=1e-5)
