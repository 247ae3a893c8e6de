from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier
from ffnn.ops import NumpyOps
from ffnn.testing._suite import weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.activation import Activation
from ffnn_plugins.layers.affine import Affine
from ffnn_plugins.layers.dropout import Dropout
from ffnn_plugins.layers.residual import Residual
from tests.conftest import BUILDERS
from tests.support.estimators import state_of

NESTED = Residual(
    ("layer_norm", Residual(("dropout", "affine", "activation")), "affine", "gaussian_noise", "batch_norm")
)


class ResidualSuite(LayerSuite):
    name = "residual"

    # what is bound are the layers inside

    def test_binding_fills_in_the_open_fields_alone(self):
        layer, before = self.make(), repr(self.make())
        bound = layer.bind(self.values)
        assert repr(layer) == before
        assert all(inside.bind(self.values) == inside for inside in bound.block)

    def test_scalars_are_the_values_of_their_fields(self):
        assert len(self.bound().scalars()) == len(self.bound().traits.scalars)


class TestResidual(ResidualSuite):
    pass


class TestResidualOfOneWidth(ResidualSuite):
    layer = Residual(("affine", "activation"))
    n_inputs = 4


class TestResidualOfResiduals(ResidualSuite):
    layer = NESTED


def run(layer, x):
    weights, context = weights_and_context(layer, x.shape[1], NumpyOps(), "float64", training=False)
    return layer.forward(NumpyOps(), x, weights, context), weights


def test_the_input_is_added():
    layer = Residual(("affine", "activation")).bind({"units": 3, "activation": "tanh"})
    assert layer.block == (Affine(3), Activation("tanh"))
    x = np.random.default_rng(0).normal(size=(5, 3))
    y, weights = run(layer, x)
    np.testing.assert_allclose(y, x + np.tanh(x @ weights["affine_weight"] + weights["affine_bias"]))


def test_another_width_is_projected():
    layer = Residual(("affine",)).bind({"units": 2})
    assert {name: (w.shape, w.decays) for name, w in layer.weights(3).items()} == {
        "affine_weight": ((3, 2), True),
        "affine_bias": ((2,), False),
        "projection": ((3, 2), True),
    }
    x = np.random.default_rng(0).normal(size=(5, 3))
    y, weights = run(layer, x)
    np.testing.assert_allclose(y, x @ weights["projection"] + x @ weights["affine_weight"] + weights["affine_bias"])


X = np.random.default_rng(0).normal(size=(80, 5))
Y = (X[:, 0] > X[:, 1]).astype(int) + (X[:, 2] > 0)


def estimator(**parameters):
    values = {
        "hidden_units": (6, 6),
        "block": (NESTED,),
        "n_epochs": 6,
        "batch_size": 30,
        "random_state": 0,
    } | parameters
    return MLPClassifier(**values)


@pytest.mark.slow
def test_all_builders_train_the_same():
    # six features inside, so that the first block projects and the second does not
    tf, keras = (estimator(builder=b, dropout=0.3, dtype="float64").fit(X, Y) for b in ("tf", "keras"))
    np.testing.assert_allclose(keras.loss_curve_, tf.loss_curve_, rtol=1e-9)
    for name, value in state_of(tf).weights.items():
        np.testing.assert_allclose(state_of(keras).weights[name], value, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [(NESTED,), ("affine", Residual(("affine", "prelu", "affine")), "layer_norm", Residual((Affine(9),)))]
)
def test_the_public_keras_model_is_of_keras_own_layers(block):
    model = estimator(block=block, builder="keras", activation="relu").fit(X, Y)
    public = model.model_
    assert {type(layer).__module__.partition(".")[0] for layer in public.layers} == {"keras"}
    np.testing.assert_allclose(public.predict(X, verbose=0), model.predict_proba(X), rtol=1e-5)


def test_a_public_model_with_a_layer_that_keras_lacks_is_saved_and_loaded(tmp_path):
    import keras

    # in float64 Keras's gelu is not exact, so that the whole residual is wrapped
    model = estimator(
        block=(Residual(("affine", "activation")),), activation="gelu", dtype="float64", builder="keras"
    ).fit(X, Y)
    model.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict_proba(X), rtol=1e-5)


def test_dropout_inside_draws_for_itself():
    layer = Residual((Dropout(0.5), Residual((Dropout(0.5),)), Dropout(0.5))).bind({})
    seeds = []

    class Recorder(NumpyOps):
        def uniform(self, shape, seed, dtype):
            seeds.append(tuple(int(s) for s in seed))
            return super().uniform(shape, seed, dtype)

    weights, context = weights_and_context(layer, 3, Recorder(), "float64", training=True)
    layer.forward(Recorder(), np.ones((4, 3)), weights, context)
    assert len(set(seeds)) == 3


def test_a_program_serves_every_rate():
    one, other = (Residual(("dropout", "affine")).bind({"rate": rate, "units": 3}) for rate in (0.1, 0.5))
    assert one.structure() == other.structure()
    assert (one.scalars(), other.scalars()) == ([0.1], [0.5])


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_sparse_x_is_taken(builder):
    dense = estimator(builder=builder).fit(np.where(X > 0, X, 0), Y)
    sparse = estimator(builder=builder).fit(scipy.sparse.csr_array(np.where(X > 0, X, 0)), Y)
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-6)


def test_the_kernels_inside_are_among_the_coefficients():
    model = estimator(hidden_units=(7,), block=(Residual(("affine", "affine")),), n_epochs=1).fit(X, Y)
    assert [w.shape for w in model.coefs_] == [(5, 7), (7, 7), (7, 3)]
    assert [b.shape for b in model.intercepts_] == [(7,), (7,), (3,)]


def test_a_full_batch_solver_is_refused_for_batch_norm_inside():
    with pytest.raises(ValueError, match="solver='lbfgs'.*'hidden1.residual'"):
        estimator(solver="lbfgs").fit(X, Y)


def test_a_list_is_taken_and_hashable():
    assert hash(Residual(["affine"])) == hash(Residual(("affine",)))
    assert dataclasses.replace(Residual(["affine"])) == Residual(("affine",))


def test_nothing_inside_leaves_it_out():
    assert Residual(("dropout",)).bind({"rate": None}) is None


@pytest.mark.parametrize(
    ("block", "error", "message"),
    [
        ("affine", TypeError, "Residual.block='affine': expected a sequence of layers.*got str"),
        ((), TypeError, "got an empty one"),
        (("afine",), ValueError, "afine"),
        ((3,), TypeError, "Residual.block"),
    ],
)
def test_a_wrong_block_is_refused(block, error, message):
    with pytest.raises(error, match=message):
        estimator(block=(Residual(block),)).fit(X, Y)
