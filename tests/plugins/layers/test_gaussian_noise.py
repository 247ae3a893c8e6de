from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from ffnn import MLPClassifier
from ffnn.ops import NumpyOps
from ffnn.testing._suite import engine_ops, to_numpy, weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.gaussian_noise import GaussianNoise


class TestGaussianNoise(LayerSuite):
    name = "gaussian_noise"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ops", [NumpyOps(), engine_ops()], ids=["numpy", "engine"])
def test_the_noise_is_normal(ops, dtype):
    layer = GaussianNoise(0.5)
    weights, context = weights_and_context(layer, 1, ops, dtype, training=True)
    x = np.full((300, 200), 3.0)
    noise = (to_numpy(layer.forward(ops, ops.cast(x, dtype), weights, context)) - 3).ravel()
    assert np.isfinite(noise).all()
    assert scipy.stats.kstest(noise, "norm", args=(0, 0.5)).pvalue > 0.001


def test_each_step_has_noise_of_its_own_and_predictions_have_none(builder):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = X[:, 0] > X[:, 1]

    def fit(stddev, seed=0, n_epochs=20):
        block = (GaussianNoise(stddev), "affine", "activation")
        return MLPClassifier((8,), block=block, n_epochs=n_epochs, builder=builder, random_state=seed).fit(X, y)

    noisy = fit(0.3)
    np.testing.assert_array_equal(noisy.predict_proba(X), noisy.predict_proba(X))
    np.testing.assert_array_equal(fit(0.3).loss_curve_, noisy.loss_curve_)
    assert np.abs(np.subtract(fit(0.0).loss_curve_, noisy.loss_curve_)).min() > 1e-6


def test_all_builders_draw_the_same():
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = X[:, 0] > X[:, 1]
    curves = [
        MLPClassifier((8, 8), block=("gaussian_noise", "affine", "gaussian_noise"), n_epochs=10, builder=builder)
        .set_params(random_state=0)
        .fit(X, y)
        .loss_curve_
        for builder in ("tf", "keras")
    ]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-9)


def test_no_noise_leaves_the_layer_out():
    assert GaussianNoise(0.0).bind({}) is None


@pytest.mark.parametrize(("stddev", "error"), [(-0.1, ValueError), ("a", TypeError), (np.nan, ValueError)])
def test_a_wrong_standard_deviation_is_refused(stddev, error):
    with pytest.raises(error, match="GaussianNoise.stddev="):
        GaussianNoise(stddev).bind({})
