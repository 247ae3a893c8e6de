"""What ffnn asks of every input."""

from __future__ import annotations

from ffnn.testing.inputs import InputSuite


class Test$cls(InputSuite):
    name = "$name"
    automatic = False
