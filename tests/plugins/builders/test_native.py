"""The builder ``native``: what every builder promises, and what is its own."""

from __future__ import annotations

import dataclasses

import pytest

from ffnn.exceptions import UnsupportedError
from ffnn.testing._suite import make_problem
from ffnn.testing.builders import BuilderSuite


class TestNative(BuilderSuite):
    name = "native"

    def test_mixed_precision_is_close_to_float32_and_not_the_same(self):
        # another test in its place: there is no mixed precision here
        problem = make_problem(dtype="float32")
        problem.network = dataclasses.replace(problem.network, compute_dtype="bfloat16")
        with pytest.raises(UnsupportedError, match="dtype='mixed_bfloat16'.*builder='tf'"):
            self.model(problem)
