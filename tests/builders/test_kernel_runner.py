"""A fit whose first product and step are a kernel's ends where that of TensorFlow alone does."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse

from ffnn import Adam, AdamW, MLPClassifier, MLPRegressor
from ffnn_plugins.inputs.sparse import SparseInput
from ffnn_plugins.layers.affine import Affine
from tests.support.estimators import model_of, state_of

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def unsorted(n_rows=300, n_features=900, per_row=15):
    """Return rows as a vectorizer leaves them that has kept some of its columns: in any order."""
    columns = np.concatenate([RNG.permutation(n_features)[:per_row] for _ in range(n_rows)])
    splits = np.arange(0, n_rows * per_row + 1, per_row)
    values = RNG.exponential(size=n_rows * per_row).astype(np.float32)
    return scipy.sparse.csr_matrix((values, columns.astype(np.int32), splits.astype(np.int32)), (n_rows, n_features))


X = unsorted()
Y = RNG.integers(0, 2, 300)


def fit(batches, hidden_units=(24,), cls=MLPClassifier, y=Y, **kwargs):
    model = cls(
        hidden_units, batch_size=16, n_epochs=3, input_layer=SparseInput(batches), random_state=0, dtype="float32",
        **{"builder": "tf"} | kwargs,
    )  # fmt: skip
    return model.fit(X, y)


def steps_of(model):
    return model_of(model).describe()["runner"]


def assert_same(one, other, atol=5e-6):
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, atol=atol)
    mine, theirs = state_of(one), state_of(other)
    assert mine.step == theirs.step
    for name, array in (mine.weights | mine.slots).items():
        np.testing.assert_allclose((theirs.weights | theirs.slots)[name], array, atol=atol, err_msg=name)


CASES = [
    {},
    {"dropout": 0.4},
    {"weight_decay": 0.1},
    {"hidden_units": ()},
    {"hidden_units": (130, 20)},
    {"solver": Adam(beta_1=0.8, beta_2=0.99, epsilon=1e-3)},
    {"solver": Adam(clip_value=1e-3)},
    {"solver": AdamW(), "weight_decay": 0.3},
    {"block": ("dropout", "affine", "layer_norm", "activation"), "dropout": 0.2},
    {"y": RNG.integers(0, 4, 300)},
    {"cls": MLPRegressor, "y": RNG.normal(size=(300, 2)).astype(np.float32)},
    {"learning_rate": 0.02, "activation": "tanh"},
]


@pytest.mark.parametrize(
    ("builder", "kwargs"),
    [("tf", case) for case in CASES] + [("keras", case) for case in CASES[:5]],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "plain",
)
def test_a_fit_is_that_of_a_dense_batch(builder, kwargs):
    one, other = (fit(batches, builder=builder, **kwargs) for batches in ("dense", "stored"))
    on_keras_alone = builder == "keras" and kwargs.get("hidden_units") == ()  # whose one layer takes dense rows
    assert (steps_of(one), steps_of(other)) == ("GraphRunner", "GraphRunner" if on_keras_alone else "KernelRunner")
    assert_same(one, other)
    predict = "predict" if "cls" in kwargs else "predict_proba"
    np.testing.assert_allclose(getattr(other, predict)(X), getattr(one, predict)(X), atol=1e-5)


@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_what_is_learned_otherwise_is_learned_as_well(builder):
    """Batch norm takes the bias before it away, whose gradient is noise; so weights cannot be compared."""
    block = ("affine", "batch_norm", "activation")
    one, other = (fit(batches, builder=builder, block=block) for batches in ("dense", "stored"))
    assert steps_of(other) == "KernelRunner"
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, atol=1e-5)
    (name,) = (name for name in state_of(one).weights if "variance" in name)
    np.testing.assert_allclose(state_of(other).weights[name], state_of(one).weights[name], rtol=1e-3)
    assert np.abs(state_of(one).weights[name] - 1).max() > 0.01


def test_with_a_norm_to_keep_the_steps_are_tensorflows():
    one, other = (fit(batches, solver=Adam(clip_norm=0.1)) for batches in ("dense", "stored"))
    assert steps_of(other) == "GraphRunner"
    assert_same(one, other)


def test_what_is_read_between_epochs_is_up_to_date_and_goes_on():
    states = []
    watched = MLPClassifier(
        (24,),
        batch_size=16,
        n_epochs=3,
        builder="tf",
        input_layer=SparseInput("stored"),
        random_state=0,
        dtype="float32",
    ).fit(X, Y, monitor=lambda epoch, model, stats: states.append(pickle.loads(pickle.dumps(model))), X_val=X, y_val=Y)
    assert_same(fit("stored"), watched)
    resumed = states[0]
    for _ in range(2):
        resumed.partial_fit(X, Y)
    assert_same(watched, resumed)


def test_weight_decay_may_begin_while_rows_wait():
    one, other = (fit(batches) for batches in ("dense", "stored"))
    for model in (one, other):
        model.set_params(weight_decay=0.05).partial_fit(X, Y)
        model.set_params(weight_decay=0.0).partial_fit(X, Y)
    assert_same(one, other)


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    fitted = []
    for n_threads in (1, 3):
        monkeypatch.setattr("ffnn.builders._tensorflow.epoch.kernel_runner.n_threads", lambda n=n_threads: n)
        fitted.append(fit("stored", dropout=0.3))
    for mine, theirs in zip(fitted[0].coefs_, fitted[1].coefs_, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("dropout", [None, 0.3])
def test_data_that_is_not_copied_gives_the_same(monkeypatch, dropout):
    whole = fit("stored", dropout=dropout)
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.RESIDENT", 1_000)
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.PIECE", 10_000)
    in_pieces = fit("stored", dropout=dropout)
    for mine, theirs in zip(whole.coefs_, in_pieces.coefs_, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_states_that_were_handed_out_stay_as_they_were():
    model = fit("stored")
    state, copied = state_of(model), pickle.loads(pickle.dumps(model))
    before = {name: array.copy() for name, array in (state.weights | state.slots).items()}
    model.partial_fit(X, Y)
    for kept in (state, state_of(copied)):
        for name, array in (kept.weights | kept.slots).items():
            np.testing.assert_array_equal(array, before[name])
    assert not np.array_equal(model.coefs_[0], before["hidden1.affine.weight"])


def test_a_fit_that_fails_leaves_the_weights_as_they_were():
    model = fit("stored")
    before = [array.copy() for array in model.coefs_]

    def fail(*_):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        model.partial_fit(X, Y, monitor=fail)
    for mine, theirs in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Mapped(Affine):
    """Says that its weight meets the entries alone, and makes others of them."""

    def forward(self, ops, x, weights, context):
        return super().forward(ops, x.map(ops.abs), weights, context)


def test_a_layer_that_does_otherwise_is_refused():
    with pytest.raises(TypeError, match=r"whose weight has by_feature=True.*x\.matmul"):
        fit("stored", block=(Mapped(), "activation"))


def test_rows_that_were_asked_for_one_by_one_hold_no_step_up():
    model = fit("stored")
    one = model.predict_proba(X[:1])
    model.partial_fit(X, Y)
    assert not np.array_equal(model.predict_proba(X[:1]), one)


@pytest.mark.parametrize("dropout", [None, 0.3])
def test_rows_may_be_empty(dropout):
    """All of them, in the end: what is left to learn is the bias."""
    nothing = scipy.sparse.csr_matrix((300, 900), dtype=np.float32)
    some = scipy.sparse.vstack([X[:20], nothing[:280]], format="csr")
    for rows in (nothing, some):
        one, other = (
            MLPClassifier(
                (24,), batch_size=16, n_epochs=2, input_layer=SparseInput(batches), random_state=0, dtype="float32",
                dropout=dropout, builder="tf",
            ).fit(rows, Y)
            for batches in ("dense", "stored")
        )  # fmt: skip
        assert_same(one, other)
