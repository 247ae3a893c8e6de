"""What ffnn asks of every output."""

from __future__ import annotations

import numpy as np
from ffnn.testing.outputs import OutputSuite


class Test$cls(OutputSuite):
    name = "$name"
    y = np.random.default_rng(0).normal(5, 3, size=24)
    automatic = False
