from __future__ import annotations

import numpy as np
import pytest

from ffnn.layer import Context
from ffnn.ops import NumpyOps
from ffnn.testing._suite import engine_ops
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.activation import ACTIVATIONS, Activation


class TestActivation(LayerSuite):
    name = "activation"


X = np.linspace(-20, 20, 81)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_function_is_the_same_on_numpy_and_the_engine(name, dtype):
    layer = Activation(name)
    expected = layer.forward(NumpyOps(), X.astype(dtype), {}, Context())
    result = layer.forward(engine_ops(), engine_ops().cast(X, dtype), {}, Context())
    assert np.asarray(result).dtype == expected.dtype == dtype
    tolerance = 1e-5 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize(
    ("name", "at_minus_one"),
    [
        ("relu", 0.0),
        ("leaky_relu", -0.2),
        ("elu", np.expm1(-1)),
        ("selu", 1.0507009873554805 * 1.6732632423543772 * np.expm1(-1)),
        ("sigmoid", 1 / (1 + np.e)),
        ("logistic", 1 / (1 + np.e)),
        ("tanh", np.tanh(-1)),
        ("softplus", np.log1p(np.exp(-1))),
        ("silu", -1 / (1 + np.e)),
        ("gelu", -0.15865525393145707),
        ("mish", -np.tanh(np.log1p(np.exp(-1)))),
    ],
)
def test_a_functions_value(name, at_minus_one):
    value = Activation(name).forward(NumpyOps(), np.array([-1.0]), {}, Context())
    assert value[0] == pytest.approx(at_minus_one)


@pytest.mark.parametrize("linear", [None, "linear", "identity"])
def test_linear_leaves_the_layer_out(linear):
    assert Activation().bind({"activation": linear}) is None
    assert Activation("tanh").bind({"activation": linear}) == Activation("tanh")


def test_a_callable_is_called():
    assert Activation(np.square).forward(NumpyOps(), X, {}, Context())[0] == 400
    assert Activation(np.square).structure() != Activation(np.sin).structure()


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="activation='rleu' is not known. Did you mean 'relu'"):
        Activation().bind({"activation": "rleu"})
