"""Tests of the outputs of hidden layers and the gradients of the scores, for every builder's models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ffnn.layer import Context
from ffnn.ops import NumpyOps
from ffnn.testing._suite import OUTPUTS, ModelSuite, Problem, make_problem, to_numpy

__all__ = ["HiddenLayersSuite"]

SPARSE = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


class HiddenLayersSuite(ModelSuite):
    """A part of the suite of builders."""

    @SPARSE
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_hidden_layers_are_those_of_the_description(self, sparse: bool, dtype: str) -> None:
        problem = make_problem(sparse=sparse, dtype=dtype, rate=0.4, hidden_units=(5, 4), n_rows=150)
        model, network, ops = self.model(problem), problem.network, NumpyOps()
        batch = network.input.gather(ops, problem.x.arrays, np.arange(150), network.n_features)
        for layer, (n_stages, units) in enumerate(zip(network.hidden, (5, 4), strict=True)):
            values = model.forward(problem.x, layer)
            assert values.shape == (150, units)
            assert values.dtype == dtype
            expected = network.first(n_stages).apply(ops, batch, problem.initial_weights())
            np.testing.assert_allclose(values, expected, rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-5)
            np.testing.assert_array_equal(model.forward(problem.rows([149, 3]), layer), values[[149, 3]])

    @SPARSE
    def test_a_hidden_layer_may_do_nothing_but_drop(self, sparse: bool) -> None:
        problem = make_problem(sparse=sparse, rate=0.4, block=("dropout",), n_rows=70)
        batch = problem.network.input.gather(NumpyOps(), problem.x.arrays, np.arange(70), 6)
        np.testing.assert_array_equal(self.model(problem).forward(problem.x, 0), to_numpy(batch))

    @SPARSE
    @pytest.mark.parametrize("output", OUTPUTS)
    def test_gradients_of_the_input_are_those_of_finite_differences(self, output: str, sparse: bool) -> None:
        problem = make_problem(output, sparse=sparse, rate=0.4, hidden_units=(4, 3), n_rows=70)
        model, network = self.model(problem), problem.network
        gradient = model.input_gradient(problem.x)
        assert gradient.shape == (70, network.n_outputs, 6)
        batch = network.input.gather(NumpyOps(), problem.x.arrays, np.arange(70), 6)
        X, weights = to_numpy(batch), problem.initial_weights()
        body = network.stages[1:]  # the batch is dense in NumPy
        for feature in range(6):
            up, down = X.copy(), X.copy()
            up[:, feature] += 1e-6
            down[:, feature] -= 1e-6
            scores = [_apply(problem, body, x, weights) for x in (up, down)]
            np.testing.assert_allclose(gradient[:, :, feature], (scores[0] - scores[1]) / 2e-6, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(model.input_gradient(problem.rows([69, 3])), gradient[[69, 3]])

    def test_gradients_of_a_linear_network_are_its_kernel(self) -> None:
        problem = make_problem(hidden_units=(), dtype="float32")
        gradient = self.model(problem).input_gradient(problem.x)
        kernel = problem.initial_weights()["output.affine.weight"]
        assert gradient.dtype == "float32"
        np.testing.assert_allclose(gradient, np.broadcast_to(kernel.T, gradient.shape), rtol=1e-6)


def _apply(problem: Problem, stages: Any, x: Any, weights: Any) -> Any:
    ops = NumpyOps()
    for stage in stages:
        named = {name.rpartition(".")[2]: weights[name] for name in stage.weights}
        x = stage.layer.forward(ops, x, named, Context())
    return x
