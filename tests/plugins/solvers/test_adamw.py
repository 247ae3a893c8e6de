from __future__ import annotations

from ffnn.testing.solvers import SolverSuite


class TestAdamW(SolverSuite):
    name = "adamw"
