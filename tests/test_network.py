from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from ffnn._utils.keys import Identity, parameters_key
from ffnn.layer import Layer, Traits
from ffnn.network import describe
from ffnn.ops import NumpyOps
from ffnn.testing._suite import make_problem
from ffnn.training.epochs import initial_generator
from ffnn_plugins.inputs.dense import DenseInput
from ffnn_plugins.layers.affine import Affine
from ffnn_plugins.layers.dropout import Dropout
from ffnn_plugins.outputs.multiclass import MulticlassOutput


def network(output="multiclass", **values):
    return make_problem(output, **values).network


def test_the_stages_are_the_blocks_between_input_and_head():
    stages = network(hidden_units=(5, 4), rate=0.5).stages
    assert [(stage.name, stage.n_inputs, stage.n_outputs) for stage in stages] == [
        ("input", 6, 6),
        ("hidden1.dropout", 6, 6),
        ("hidden1.affine", 6, 5),
        ("hidden1.activation", 5, 5),
        ("hidden2.dropout", 5, 5),
        ("hidden2.affine", 5, 4),
        ("hidden2.activation", 4, 4),
        ("output.dropout", 4, 4),
        ("output.affine", 4, 3),
    ]


def test_layers_of_one_name_are_numbered():
    names = list(network(block=("affine", "activation", "affine"), hidden_units=(4,)).weights)
    assert names == [
        "hidden1.affine.weight", "hidden1.affine.bias", "hidden1.affine2.weight", "hidden1.affine2.bias",
        "output.affine.weight", "output.affine.bias",
    ]  # fmt: skip


def test_without_dropout_or_activation_there_is_no_such_stage():
    assert [stage.name for stage in network(activation=None).stages] == ["input", "hidden1.affine", "output.affine"]


def test_an_instance_in_the_block_overrides_the_estimators_values():
    stages = network(block=(Dropout(0.1), Affine(units=9), "activation"), rate=0.5).stages
    layers = {stage.name: stage.layer for stage in stages}
    assert layers["hidden1.dropout"].rate == 0.1
    assert layers["hidden1.affine"].units == 9
    assert layers["output.dropout"].rate == 0.5


def test_initial_weights_are_a_function_of_the_seed():
    net = network(dtype="float32")
    one, again, other = (net.initial_weights(initial_generator(seed)) for seed in (0, 0, 1))
    for name, weight in net.weights.items():
        assert one[name].shape == weight.shape
        assert one[name].dtype == np.float32
        np.testing.assert_array_equal(one[name], again[name])
        assert weight.decays == (not np.array_equal(one[name], other[name]))  # biases start from zero


def test_selu_starts_from_lecuns_weights():
    weights = network(activation="selu", hidden_units=(300,), n_features=200).initial_weights(initial_generator(0))
    assert weights["hidden1.affine.weight"].std() == pytest.approx(1 / np.sqrt(200), rel=0.02)
    glorot = network(hidden_units=(300,), n_features=200).initial_weights(initial_generator(0))
    bound = np.sqrt(6 / 500)
    assert np.abs(glorot["hidden1.affine.weight"]).max() == pytest.approx(bound, rel=0.01)
    assert glorot["hidden1.affine.weight"].std() == pytest.approx(bound / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_describes_the_same(copied):
    net = network(rate=0.5)
    assert copied(net).structure() == net.structure()
    assert [stage.name for stage in copied(net).stages] == [stage.name for stage in net.stages]


def test_equal_architectures_share_a_key_whatever_their_rates_and_data():
    key = network(rate=0.5).structure()
    assert hash(key) == hash(network(rate=0.5).structure())
    assert network(rate=0.1).structure() == key
    assert network(rate=0.5, n_rows=50).structure() == key


def test_other_architectures_have_other_keys():
    networks = [
        network(), network(rate=0.5), network(hidden_units=(4,)), network(hidden_units=(5, 5)), network(n_features=7),
        network(dtype="float32"), network("binary"), network("multilabel"), network("regression"), network(sparse=True),
        network(activation="relu"), network(activation=None), network(block=("affine", "affine", "activation")),
    ]  # fmt: skip
    assert len({net.structure() for net in networks}) == len(networks)


def test_rates_are_scalars_in_the_order_of_the_stages():
    net = network(block=(Dropout(0.1), "affine", Dropout(0.2)), rate=0.3)
    np.testing.assert_array_equal(net.scalars(), [0.1, 0.2, 0.3])
    assert net.scalars().dtype == net.dtype


def test_each_random_stage_draws_with_a_seed_of_its_own():
    seeds = []

    class Spy(Layer):
        traits = Traits(random=True)

        def forward(self, ops, x, weights, context):
            seeds.append(tuple(context.seed))
            return x

    problem = make_problem(block=(Spy(), "affine", Spy()), hidden_units=(4, 4))
    network = problem.network
    context = network.training_context(network.scalars(), np.array([7, 1], dtype=np.int32))
    network.apply(NumpyOps(), problem.x.arrays[0], problem.initial_weights(), context)
    assert len(set(seeds)) == 4


def test_a_head_of_another_width_is_refused():
    output = MulticlassOutput(head=("dropout",)).fit(np.array([0, 1, 2]), None, np.ones(3))
    with pytest.raises(
        ValueError, match=r"MulticlassOutput.head ends with 5 values per row; expected 3, one per score. End it with"
    ):
        describe(
            DenseInput(), output, hidden_units=(5,), block=("affine",), values={"rate": None}, n_features=2,
            dtype="float32",
        )  # fmt: skip


def test_keys_of_parameters_tell_types_apart():
    class Parameters(MulticlassOutput):
        def __init__(self, value=None):
            self.value = value

    keys = [parameters_key(Parameters(value)) for value in (1, 1.0, True, "1", None)]
    assert len(set(keys)) == 5
    values = [1]
    assert parameters_key(Parameters(values)) == parameters_key(Parameters(values))
    assert parameters_key(Parameters(values)) != parameters_key(Parameters([1]))
    assert Identity(values) != values
