"""The builder ``native``: what every builder promises, and what is its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import EngineNotInstalledError, UnsupportedError
from ffnn.model import Rows, State
from ffnn.plugins import registry
from ffnn.solvers import SGD, Adam
from ffnn.testing._suite import OUTPUTS, assert_states_equal, make_problem
from ffnn.testing.builders import BuilderSuite
from ffnn_plugins.builders import native
from ffnn_plugins.builders._native import library, model
from ffnn_plugins.builders._native.sparse import SparseAdamModel
from ffnn_plugins.builders.native import NativeBuilder
from ffnn_plugins.inputs.dense import DenseInput
from ffnn_plugins.inputs.sparse import SparseInput
from ffnn_plugins.layers.activation import ACTIVATIONS, Activation
from ffnn_plugins.layers.affine import Affine
from ffnn_plugins.layers.gaussian_noise import GaussianNoise
from ffnn_plugins.layers.layer_norm import LayerNorm
from ffnn_plugins.layers.ntk_affine import NTKAffine
from ffnn_plugins.layers.prelu import PReLU
from ffnn_plugins.outputs.binary import BinaryOutput
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from ffnn_plugins.outputs.multilabel import MultilabelOutput
from ffnn_plugins.outputs.regression import RegressionOutput

LOSSES = [
    BinaryOutput(loss="focal", label_smoothing=0.1),
    MulticlassOutput(label_smoothing=0.2),
    MulticlassOutput(loss="focal"),
    MulticlassOutput(loss="focal", gamma=1.0, label_smoothing=0.2),
    MultilabelOutput(loss="focal"),
    *[RegressionOutput(loss) for loss in ("absolute_error", "huber", "quantile")],
    RegressionOutput("quantile", quantile=0.9),
]
BLOCKS = {
    "ntk": ("dropout", NTKAffine(), "activation"),
    "prelu": ("affine", PReLU()),
    "layer_norm": ("affine", LayerNorm(), "activation"),
    "noise": ("affine", GaussianNoise(0.0), "activation"),
    "two functions": ("activation", "affine", Activation("gelu"), Activation("tanh")),
    "two affine": (Affine(19), "affine"),
    "function first": ("activation", "affine", "dropout"),
}


def build(problem, state=None, builder="native"):
    made = registry.load("builder", builder)().build(problem.network, problem.solver)
    made.set_state(state or State(problem.initial_weights()))
    made.load(problem.x, problem.targets, problem.weight)
    return made


def targets(output, n_rows):
    kinds = {BinaryOutput: "binary", MulticlassOutput: "multiclass", MultilabelOutput: "multilabel"}
    kind = kinds.get(type(output), "regression")
    y = make_problem(kind, n_rows=n_rows).network.output  # the suite's, by way of its problem
    rng = np.random.default_rng(1)
    return {
        "binary": np.arange(n_rows) % 2,
        "multiclass": np.arange(n_rows) % 3,
        "multilabel": rng.integers(-1, 2, size=(n_rows, 3)),
        "regression": rng.poisson(3, size=(n_rows, 2)).astype(float),
    }[kind] if y is not None else None


class TestNative(BuilderSuite):
    name = "native"

    def test_mixed_precision_is_close_to_float32_and_not_the_same(self):
        # another test in its place: there is no mixed precision here
        problem = make_problem(dtype="float32")
        problem.network = dataclasses.replace(problem.network, compute_dtype="bfloat16")
        with pytest.raises(UnsupportedError, match="dtype='mixed_bfloat16'.*builder='tf'"):
            self.model(problem)
