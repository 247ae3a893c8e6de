"""The conformance suites find what is wrong with a plugin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ffnn.builders.tensorflow import TensorFlowBuilder
from ffnn.layer import Layer, Weight
from ffnn.model import State
from ffnn.testing._base import installed_builders
from ffnn.testing.builders import BuilderSuite
from ffnn.testing.inputs import InputSuite
from ffnn.testing.layers import LayerSuite
from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.inputs.dense import DenseInput
from ffnn_plugins.layers.dropout import Dropout
from ffnn_plugins.outputs.binary import BinaryOutput
from tests.conftest import BUILDERS


def test_our_builders_are_those_that_the_suites_run_on():
    assert set(BUILDERS) <= set(installed_builders())


# --- layers


@dataclass(frozen=True)
class WrongWidth(Layer):
    def weights(self, n_inputs):
        return {"weight": Weight((n_inputs, 3))}

    def forward(self, ops, x, weights, context):
        return ops.matmul(x, weights["weight"])


@dataclass(frozen=True)
class BatchMean(Layer):
    def forward(self, ops, x, weights, context):
        return x - ops.mean(x, axis=0)


class OtherKey(Dropout):
    def structure(self):
        return (type(self), self.rate)


class NoNoise(Dropout):
    def forward(self, ops, x, weights, context):
        return x


class InPlace(Dropout):
    def forward(self, ops, x, weights, context):
        x *= 2
        return x


@pytest.mark.parametrize(
    ("layer", "test", "arguments"),
    [
        (WrongWidth(), "test_shape_and_dtype_are_those_declared", (False, "float32")),
        (BatchMean(), "test_a_rows_result_does_not_depend_on_its_neighbours", ()),
        (OtherKey(), "test_structure_leaves_scalars_out_and_nothing_else", ()),
        (NoNoise(), "test_random_draws_are_a_function_of_the_seed", ()),
        (InPlace(), "test_the_batch_is_not_changed", ()),
        (BatchMean(), "test_the_name_is_registered", ()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else None,
)
def test_a_bad_layer_is_found(layer, test, arguments):
    suite = type("Suite", (LayerSuite,), {"name": "affine", "layer": layer})()
    with pytest.raises(AssertionError):
        getattr(suite, test)(*arguments)


# --- inputs


class AlwaysTheFirst(DenseInput):
    def gather(self, ops, arrays, rows, n_features):
        return ops.take(arrays[0], rows * 0)


class WrongDtype(DenseInput):
    def prepare(self, X, dtype):
        return super().prepare(X, "float64")


@pytest.mark.parametrize(
    ("made", "test", "arguments"),
    [
        (AlwaysTheFirst(), "test_a_batchs_row_comes_from_its_own_sample", ()),
        (WrongDtype(), "test_prepared_rows_are_plain_arrays", ("float32",)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, DenseInput) else None,
)
def test_a_bad_input_is_found(made, test, arguments):
    suite = type("Suite", (InputSuite,), {"name": "dense", "input": made})()
    with pytest.raises(AssertionError):
        getattr(suite, test)(*arguments)


# --- outputs


class Unweighted(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        return super().loss(ops, scores, targets, weight * 0 + 1)


class MeanLoss(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        loss, mass = super().loss(ops, scores, targets, weight)
        return loss / mass, mass


class Overflowing(BinaryOutput):
    def loss(self, ops, scores, targets, weight):
        return ops.sum(ops.log(1 + ops.exp(-scores * (2 * targets - 1)))), ops.sum(weight)


class Unclipped(BinaryOutput):
    def probabilities(self, scores):
        positive = np.hstack([scores <= 0, scores > 0])
        return positive.astype(np.float64)


class Swapped(BinaryOutput):
    def decode(self, scores):
        return super().decode(-scores)


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (Unweighted(), "test_rows_of_no_weight_add_nothing"),
        (MeanLoss(), "test_it_is_a_weighted_sum_over_the_rows"),
        (Overflowing(), "test_it_is_finite_for_scores_far_out"),
        (Unclipped(), "test_probabilities_are_strictly_between_0_and_1"),
        (Swapped(), "test_the_scores_of_least_loss_decode_to_the_targets"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BinaryOutput) else None,
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_bad_output_is_found(made, test):
    suite = type("Suite", (OutputSuite,), {"name": "binary", "output": made, "y": np.arange(24) % 2})()
    with pytest.raises(AssertionError):
        getattr(suite, test)()


# --- builders


class Forgetful(TensorFlowBuilder):
    """Builds models that lose the solver's memory."""

    def model(self, network, solver):
        model = super().model(network, solver)
        set_state = model.set_state
        model.set_state = lambda state: set_state(State(state.weights, {}, state.step))
        return model


class Shuffling(TensorFlowBuilder):
    """Builds models that score the rows in another order."""

    def model(self, network, solver):
        model = super().model(network, solver)
        forward = model.forward
        model.forward = lambda x: forward(x)[::-1]
        return model


@pytest.mark.parametrize(
    ("made", "test", "arguments"),
    [
        (Forgetful(), "test_resumed_equals_uninterrupted", ("adam",)),
        (Forgetful(), "test_a_state_goes_in_and_out_exactly", ("float64",)),
        (Shuffling(), "test_scores_do_not_depend_on_the_neighbours", (False,)),
        (Shuffling(), "test_scores_are_those_of_the_description", (False, "float64")),
    ],
)
def test_a_bad_builder_is_found(made, test, arguments):
    suite = type("Suite", (BuilderSuite,), {"name": "tf", "builder": made})()
    with pytest.raises(AssertionError):
        getattr(suite, test)(*arguments)
