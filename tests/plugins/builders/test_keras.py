from __future__ import annotations

from ffnn.testing.builders import BuilderSuite


class TestKeras(BuilderSuite):
    name = "keras"
