from __future__ import annotations

import numpy as np
import pytest

from ffnn.ops import NumpyOps, SparseRows
from ffnn.testing._suite import engine_ops, to_numpy, weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.alpha_dropout import AlphaDropout
from ffnn_plugins.layers.dropout import Dropout


class TestDropout(LayerSuite):
    name = "dropout"


class TestDropoutWithItsOwnRate(LayerSuite):
    name = "dropout"
    layer = Dropout(rate=0.25)


def dropped(ops, x, rate):
    weights, context = weights_and_context(Dropout(rate), 1, ops, "float64", training=True)
    return to_numpy(Dropout(rate).forward(ops, x, weights, context))


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_a_share_is_dropped_and_the_mean_stays(rate):
    for ops in (NumpyOps(), engine_ops()):
        result = dropped(ops, ops.cast(np.full((200, 200), 3.0), "float64"), rate)
        np.testing.assert_allclose(np.unique(result), [0, 3 / (1 - rate)])
        assert np.mean(result == 0) == pytest.approx(rate, abs=0.01)
        assert result.mean() == pytest.approx(3, rel=0.05)


def test_sparse_rows_keep_their_places():
    splits, columns = np.array([0, 2, 2, 3]), np.array([1, 3, 2])
    x = SparseRows(splits, columns, np.full(3, 2.0), (3, 4))
    weights, context = weights_and_context(Dropout(0.5), 4, NumpyOps(), "float64", training=True)
    result = Dropout(0.5).forward(NumpyOps(), x, weights, context)
    assert isinstance(result, SparseRows)
    assert result.splits is splits
    assert result.columns is columns
    assert set(result.values) <= {0.0, 4.0}


@pytest.mark.parametrize("rate", [None, 0, 0.0])
def test_without_a_rate_it_is_left_out(rate):
    assert Dropout().bind({"rate": rate, "activation": "relu"}) is None


def test_its_own_rate_overrides_the_estimators():
    assert Dropout(0.1).bind({"rate": 0.5}) == Dropout(0.1)
    assert Dropout(0.0).bind({"rate": 0.5}) is None


def test_selu_brings_alpha_dropout():
    assert Dropout().bind({"rate": 0.5, "activation": "selu"}) == AlphaDropout(0.5)
    assert Dropout(0.1).bind({"rate": 0.5, "activation": "selu"}) == AlphaDropout(0.1)
    assert Dropout().bind({"rate": None, "activation": "selu"}) is None


@pytest.mark.parametrize("rate", [1.0, -0.1, np.nan])
def test_a_rate_outside_is_refused(rate):
    with pytest.raises(ValueError, match="dropout="):
        Dropout(rate).bind({})
