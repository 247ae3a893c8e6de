from __future__ import annotations

import numpy as np

from ffnn.solvers import RMSprop
from ffnn.testing.solvers import SolverSuite
from tests.support.solvers import GRADIENTS, RATE, steps


class TestRMSprop(SolverSuite):
    name = "rmsprop"


def test_rmsprop_divides_by_a_running_root_mean_square():
    weight, square, path = np.ones(3), np.zeros(3), []
    for g in GRADIENTS:
        square = 0.6 * square + 0.4 * g**2
        weight = weight - RATE * g / (np.sqrt(square) + 1e-7)
        path.append(weight)
    np.testing.assert_allclose(steps(RMSprop(rho=0.6)), path, rtol=1e-9)
