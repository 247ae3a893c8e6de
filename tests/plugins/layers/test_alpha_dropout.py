from __future__ import annotations

import numpy as np
import pytest

from ffnn.ops import NumpyOps
from ffnn.testing._suite import engine_ops, to_numpy, weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.alpha_dropout import AlphaDropout


class TestAlphaDropout(LayerSuite):
    name = "alpha_dropout"
    values = LayerSuite.values | {"activation": "selu"}


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_mean_and_variance_stay(rate):
    x = np.random.default_rng(0).normal(size=(400, 400))
    for ops in (NumpyOps(), engine_ops()):
        weights, context = weights_and_context(AlphaDropout(rate), 1, ops, "float64", training=True)
        result = to_numpy(AlphaDropout(rate).forward(ops, ops.cast(x, "float64"), weights, context))
        assert result.mean() == pytest.approx(0, abs=0.02)
        assert result.std() == pytest.approx(1, abs=0.02)
        values, counts = np.unique(result.round(12), return_counts=True)
        assert counts.max() / result.size == pytest.approx(rate, abs=0.01)
        assert values[counts.argmax()] < 0


@pytest.mark.parametrize("rate", [None, 0.0])
def test_without_a_rate_it_is_left_out(rate):
    assert AlphaDropout().bind({"rate": rate}) is None


def test_a_rate_outside_is_refused():
    with pytest.raises(ValueError, match="dropout=1.0: expected a rate in"):
        AlphaDropout(1.0).bind({})
