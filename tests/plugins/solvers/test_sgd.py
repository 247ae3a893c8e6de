from __future__ import annotations

import numpy as np
import pytest

from ffnn.solvers import SGD
from ffnn.testing.solvers import SolverSuite
from tests.support.solvers import GRADIENTS, RATE, steps


class TestSGD(SolverSuite):
    name = "sgd"


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_has_momentum(nesterov):
    weight, velocity, path = np.ones(3), np.zeros(3), []
    for g in GRADIENTS:
        velocity = 0.7 * velocity - RATE * g
        weight = weight + (0.7 * velocity - RATE * g if nesterov else velocity)
        path.append(weight)
    np.testing.assert_allclose(steps(SGD(0.7, nesterov)), path, rtol=1e-12)


def test_sgd_without_momentum_remembers_nothing():
    assert SGD(momentum=0.0).slots == {}
    np.testing.assert_allclose(steps(SGD(momentum=0.0)), 1 - RATE * np.cumsum(GRADIENTS, axis=0))
