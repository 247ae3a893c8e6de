from __future__ import annotations

import numpy as np

from ffnn.solvers import Adam, AdamW
from ffnn.testing.solvers import SolverSuite
from tests.support.solvers import GRADIENTS, RATE, steps


class TestAdam(SolverSuite):
    name = "adam"


def test_adam_is_the_paper_s():
    """Algorithm 1, with the remark at the end of section 2: the epsilon that is added to the uncorrected root."""
    b1, b2, epsilon = 0.8, 0.95, 1e-3
    weight, mean, square, path = np.ones(3), np.zeros(3), np.zeros(3), []
    for t, g in enumerate(GRADIENTS, start=1):
        mean, square = b1 * mean + (1 - b1) * g, b2 * square + (1 - b2) * g**2
        corrected_epsilon = epsilon / np.sqrt(1 - b2**t)
        weight = weight - RATE * (mean / (1 - b1**t)) / (np.sqrt(square / (1 - b2**t)) + corrected_epsilon)
        path.append(weight)
    np.testing.assert_allclose(steps(Adam(b1, b2, epsilon)), path, rtol=1e-12)
    np.testing.assert_allclose(steps(AdamW(b1, b2, epsilon)), path, rtol=1e-12)


def test_adams_first_step_is_the_learning_rate():
    np.testing.assert_allclose(1 - steps(Adam(), 1)[0], RATE * np.sign(GRADIENTS[0]), rtol=1e-4)
