"""What ffnn asks of every builder."""

from __future__ import annotations

from ffnn.testing.builders import BuilderSuite


class Test$cls(BuilderSuite):
    name = "$name"
    mixed_precision = False
