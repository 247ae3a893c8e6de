"""Tests of mixed precision, for every builder's models."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest

from ffnn.exceptions import UnsupportedError
from ffnn.testing._suite import ModelSuite, make_problem

__all__ = ["PrecisionSuite"]

SPARSE = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
BLOCKS = {"plain": ("dropout", "affine", "activation"), "normalised": ("affine", "batch_norm", "layer_norm", "prelu")}


class PrecisionSuite(ModelSuite):
    """A part of the suite of builders."""

    mixed_precision: ClassVar[bool] = True

    @SPARSE
    @pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
    def test_mixed_precision_is_close_to_float32_and_not_the_same(self, block: Any, sparse: bool) -> None:
        if not self.mixed_precision:
            problem = make_problem(dtype="float32", sparse=sparse)
            problem.network = dataclasses.replace(problem.network, compute_dtype="bfloat16")
            with pytest.raises(UnsupportedError, match="bfloat16"):
                self.model(problem)
            return
        found = []
        for compute_dtype in (None, "bfloat16"):
            problem = make_problem(dtype="float32", sparse=sparse, block=block, hidden_units=(16, 8), n_features=40)
            problem.network = dataclasses.replace(problem.network, compute_dtype=compute_dtype)
            model = self.model(problem)
            outputs = [model.forward(problem.x), model.forward(problem.x, 0)]
            losses = [model.train_epoch(problem.plan(epoch)) for epoch in range(3)]
            state = model.get_state()
            arrays = [*outputs, model.input_gradient(problem.x), *state.weights.values(), *state.slots.values()]
            assert {array.dtype for array in arrays} == {np.dtype("float32")}
            found.append([*outputs, np.array(losses)])
        for exact, mixed in zip(*found, strict=True):
            assert 1e-4 < np.linalg.norm(mixed - exact) / np.linalg.norm(exact) < 0.01
