from __future__ import annotations

import pytest

from ffnn.testing.builders import BuilderSuite


@pytest.mark.slow
class TestKeras(BuilderSuite):
    name = "keras"
