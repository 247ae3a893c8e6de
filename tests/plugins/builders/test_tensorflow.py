from __future__ import annotations

from ffnn.testing.builders import BuilderSuite


class TestTensorFlow(BuilderSuite):
    name = "tf"
