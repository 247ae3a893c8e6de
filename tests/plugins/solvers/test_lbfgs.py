from __future__ import annotations

from ffnn.testing.solvers import SolverSuite


class TestLBFGS(SolverSuite):
    name = "lbfgs"
