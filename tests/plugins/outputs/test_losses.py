"""The losses that the built-in outputs offer: what they compute, on each builder, and how they are chosen."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_poisson_deviance
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

import ffnn
from ffnn import MLPClassifier, MLPRegressor
from ffnn.ops import NumpyOps
from ffnn.testing._suite import engine_ops, to_numpy
from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.outputs import _losses
from ffnn_plugins.outputs.binary import BinaryOutput
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from ffnn_plugins.outputs.multilabel import MultilabelOutput
from ffnn_plugins.outputs.regression import RegressionOutput
from tests.conftest import BUILDERS

X, Y = load_diabetes(return_X_y=True)
X, Y = scale(X)[:150], Y[:150]
COUNTS = np.random.default_rng(0).poisson(np.exp(0.5 * X[:, 2] + 0.3 * X[:, 8] + 3))

REGRESSION = [
    RegressionOutput("absolute_error"),
    RegressionOutput("huber", delta=20.0),
    RegressionOutput("quantile", quantile=0.3),
    RegressionOutput("poisson"),
]
CLASSIFICATION = [
    kind(**parameters)
    for kind in (BinaryOutput, MulticlassOutput, MultilabelOutput)
    for parameters in (
        {"label_smoothing": 0.1},
        {"loss": "focal"},
        {"loss": "focal", "gamma": 0.5, "label_smoothing": 0.2},
    )
]


def fitted(output, y, weight=None):
    return clone(output).fit(y, None, np.ones(len(y)) if weight is None else weight)


def value(output, scores, y, weight=None, ops=None):
    """The mean loss of scores in NumPy, or on an engine."""
    weight = np.ones(len(y)) if weight is None else weight
    ops = ops or NumpyOps()
    targets = fitted(output, y, weight).encode(y, "float64")
    loss, mass = fitted(output, y, weight).loss(ops, ops.cast(scores, "float64"), targets, ops.cast(weight, "float64"))
    return float(to_numpy(loss)) / float(to_numpy(mass))


# -- what they compute


def test_the_regression_losses_are_those_of_their_definitions():
    y = np.array([0.0, 2.0, 10.0, 4.0])
    mean, std = y.mean(), y.std()
    predictions = np.array([1.0, 2.0, 3.0, 9.0])
    scores = ((predictions - mean) / std)[:, None]
    error = np.abs(predictions - y)
    assert value(RegressionOutput(), scores, y) == pytest.approx(np.mean(error**2) / 2 / std**2)
    assert value(RegressionOutput("absolute_error"), scores, y) == pytest.approx(
        mean_absolute_error(y, predictions) / std
    )
    pinball = mean_pinball_loss(y, predictions, alpha=0.2) / std
    assert value(RegressionOutput("quantile", quantile=0.2), scores, y) == pytest.approx(pinball)
    # in the unit of y, 1.5 is exceeded by two errors of four
    huber = np.mean(np.where(error <= 1.5, error**2 / 2, 1.5 * (error - 0.75))) / std**2
    assert value(RegressionOutput("huber", delta=1.5), scores, y) == pytest.approx(huber)
    logs = np.log(predictions / y.mean())[:, None]
    deviance = mean_poisson_deviance(y, predictions) / 2 / y.mean()
    assert value(RegressionOutput("poisson"), logs, y) == pytest.approx(deviance)
    np.testing.assert_allclose(fitted(RegressionOutput("poisson"), y).decode(logs), predictions)


def test_a_delta_beyond_all_errors_is_the_squared_error():
    scores = np.random.default_rng(0).normal(size=(150, 1))
    assert value(RegressionOutput("huber", delta=1e9), scores, Y) == pytest.approx(value(RegressionOutput(), scores, Y))


def test_several_targets_have_each_their_unit_but_one_delta():
    y = np.stack([Y, 1000 * Y], axis=1)
    scores = np.random.default_rng(0).normal(size=(150, 2))
    both = value(RegressionOutput("huber", delta=50.0), scores, y)
    one, other = (value(RegressionOutput("huber", delta=50.0), scores[:, [i]], y[:, i]) for i in range(2))
    assert both == pytest.approx((one + other) / 2)


def test_the_classification_losses_are_those_of_their_definitions():
    y = np.array([0, 1, 2, 1])
    scores = np.random.default_rng(0).normal(size=(4, 3))
    p = scipy.special.softmax(scores, axis=1)
    mixed = 0.9 * np.eye(3)[y] + 0.1 / 3
    assert value(MulticlassOutput(label_smoothing=0.1), scores, y) == pytest.approx(
        -np.mean((mixed * np.log(p)).sum(axis=1))
    )
    focal = -((1 - p) ** 1.5) * np.log(p)
    assert value(MulticlassOutput("focal", gamma=1.5), scores, y) == pytest.approx(focal[np.arange(4), y].mean())
    smooth = MulticlassOutput("focal", gamma=1.5, label_smoothing=0.1)
    assert value(smooth, scores, y) == pytest.approx((mixed * focal).sum(axis=1).mean())

    y, p = np.array([0, 1, 1, 0]), scipy.special.expit(scores[:, 0])
    of_true = np.where(y == 1, p, 1 - p)
    assert value(BinaryOutput("focal"), scores[:, :1], y) == pytest.approx(
        np.mean(-((1 - of_true) ** 2) * np.log(of_true))
    )
    smooth = -0.95 * np.log(of_true) - 0.05 * np.log(1 - of_true)
    assert value(BinaryOutput(label_smoothing=0.1), scores[:, :1], y) == pytest.approx(smooth.mean())


@pytest.mark.parametrize("kind", [BinaryOutput, MulticlassOutput, MultilabelOutput])
def test_a_gamma_of_zero_is_the_cross_entropy(kind):
    y = np.eye(3, dtype=int)[[0, 1, 2, 2]] if kind is MultilabelOutput else np.array([0, 1, 0, 1])
    scores = np.random.default_rng(0).normal(size=(4, fitted(kind(), y).n_outputs_))
    assert value(kind("focal", gamma=0.0), scores, y) == pytest.approx(value(kind(), scores, y), rel=1e-12)


@pytest.mark.parametrize("output", [o for o in CLASSIFICATION if isinstance(o, MultilabelOutput)], ids=repr)
def test_missing_labels_count_in_no_loss(output):
    y = np.array([[1, 0, -1], [-1, -1, 1], [0, 1, 0], [-1, -1, -1]])
    scores = np.random.default_rng(0).normal(size=y.shape)
    known = y >= 0
    pairs = np.stack([y[known], y[known]], axis=1)  # each known entry as a row of its own
    expected = value(output, np.stack([scores[known], scores[known]], axis=1), pairs)
    for ops in (NumpyOps(), engine_ops()):
        assert value(output, scores, y, ops=ops) == pytest.approx(expected)
        assert value(output, np.where(known, scores, 1e3), y, ops=ops) == pytest.approx(expected)


@pytest.mark.parametrize("output", [*REGRESSION, *CLASSIFICATION], ids=repr)
def test_a_weight_is_a_repetition(output):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 9) if isinstance(output, BinaryOutput | MulticlassOutput) else rng.integers(0, 2, (9, 2))
    y[:2] = [0, 1] if y.ndim == 1 else [[0, 1], [1, 0]]
    weight = np.array([2, 3, 0, 1, 2, 1, 0, 2, 1])
    scores = rng.normal(size=(9, fitted(output, y).n_outputs_))
    expected = value(output, np.repeat(scores, weight, axis=0), np.repeat(y, weight, axis=0))
    assert value(output, scores, y, weight.astype(float)) == pytest.approx(expected, rel=1e-12)


GRADIENTS = {
    "focal": lambda scores, targets: _losses.focal(engine_ops(), scores, targets, 0.5),
    "focal_softmax": lambda scores, targets: _losses.focal_softmax(
        engine_ops(), -engine_ops().log_softmax(scores), 0.5
    ),
    "poisson": lambda scores, targets: _losses.poisson(engine_ops(), scores, targets),
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_finite_where_scores_are_far_out(name, dtype):
    import tensorflow as tf

    scores = tf.constant(np.array([[-1e4, -50, -1e-6, 0, 1e-6, 50, 200, 1e4]]), dtype)
    targets = tf.constant(np.array([[1, 0, 0.5, 1, 0, 1, 0, 0.1]]), dtype)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        losses = GRADIENTS[name](scores, targets)
    assert np.isfinite(losses.numpy()).all()
    assert np.isfinite(tape.gradient(losses, scores).numpy()).all()


# -- what every output promises


class TestAbsoluteError(OutputSuite):
    name = "regression"
    output = REGRESSION[0]
    iterations = 500
    y = np.stack([Y[:24], 1e-3 * Y[24:48]], axis=1)


class TestHuber(OutputSuite):
    name = "regression"
    output = REGRESSION[1]
    y = np.stack([Y[:24], 1e-3 * Y[24:48]], axis=1)


class TestQuantile(OutputSuite):
    name = "regression"
    output = REGRESSION[2]
    iterations = 500
    y = Y[:24]


class TestPoisson(OutputSuite):
    name = "regression"
    output = REGRESSION[3]
    y = COUNTS[:24].astype(float)


class TestBinaryFocal(OutputSuite):
    name = "binary"
    output = BinaryOutput("focal", label_smoothing=0.05)
    y = np.array(["yes", "no", "no"] * 8)


class TestMulticlassFocal(OutputSuite):
    name = "multiclass"
    output = MulticlassOutput("focal", label_smoothing=0.05)
    y = np.arange(24) // 3 % 4


class TestMultilabelFocal(OutputSuite):
    name = "multilabel"
    output = MultilabelOutput("focal", label_smoothing=0.05)
    y = np.random.default_rng(0).integers(0, 2, size=(24, 3))


# -- on the builders


def regressor(output, **parameters):
    values = {"hidden_units": (), "n_epochs": 300, "learning_rate": 0.01, "random_state": 0} | parameters
    return MLPRegressor(output_layer=output, **values)


def test_a_quantile_is_scikit_learns():
    q = 0.8
    model = regressor(RegressionOutput("quantile", quantile=q)).fit(X, Y)
    exact = QuantileRegressor(quantile=q, alpha=0).fit(X, Y)
    predictions = model.predict(X)
    assert np.mean(predictions > Y) == pytest.approx(q, abs=0.05)
    best = mean_pinball_loss(Y, exact.predict(X), alpha=q)
    assert best <= mean_pinball_loss(Y, predictions, alpha=q) <= 1.02 * best


def test_counts_are_scikit_learns(builder):
    model = regressor(RegressionOutput("poisson"), builder=builder, solver="lbfgs").fit(X, COUNTS)
    exact = PoissonRegressor(alpha=0, tol=1e-8, max_iter=1000).fit(X, COUNTS)
    np.testing.assert_allclose(model.predict(X), exact.predict(X), rtol=1e-3)
    assert (model.predict(100 * X) > 0).all()
    assert np.isfinite(model.predict(1e6 * X)).all()


def test_robust_losses_resist_an_outlier():
    spoiled = Y.copy()
    spoiled[::15] += 20_000
    errors = [
        mean_absolute_error(Y, regressor(output).fit(X, spoiled).predict(X))
        for output in (RegressionOutput("huber", delta=20.0), RegressionOutput("absolute_error"), RegressionOutput())
    ]
    assert max(errors[:2]) < 0.5 * errors[2]


@pytest.mark.slow
@pytest.mark.parametrize("output", REGRESSION, ids=repr)
def test_all_builders_train_a_regressor_the_same(output):
    y = np.stack([COUNTS, 3 * COUNTS[::-1]], axis=1)
    models = [
        regressor(output, builder=builder, hidden_units=(8,), n_epochs=10, dtype="float64").fit(X, y)
        for builder in BUILDERS
    ]
    for model in models[1:]:
        np.testing.assert_allclose(model.loss_curve_, models[0].loss_curve_, rtol=1e-9)
        np.testing.assert_allclose(model.predict(X), models[0].predict(X), rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("output", CLASSIFICATION, ids=repr)
def test_all_builders_train_a_classifier_the_same(output):
    X, y = load_iris(return_X_y=True)
    if isinstance(output, BinaryOutput):
        y = y == 1
    elif isinstance(output, MultilabelOutput):
        y = np.eye(3, dtype=int)[y]
        y[::7, 1] = -1
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-9)):
        models = [
            MLPClassifier((8,), n_epochs=10, builder=builder, output_layer=output, dtype=dtype, random_state=0).fit(
                X, y
            )
            for builder in BUILDERS
        ]
        for model in models[1:]:
            np.testing.assert_allclose(model.loss_curve_, models[0].loss_curve_, rtol=tolerance)


def test_the_public_keras_model_predicts_counts():
    model = regressor(RegressionOutput("poisson"), builder="keras", n_epochs=20).fit(X, COUNTS)
    np.testing.assert_allclose(model.model_.predict(X, verbose=0)[:, 0], model.predict(X), rtol=1e-5)


def test_smoothing_makes_predictions_less_certain():
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    plain, smooth = (
        MLPClassifier(
            (), n_epochs=100, learning_rate=0.01, output_layer=BinaryOutput(label_smoothing=share), random_state=0
        )
        .fit(X, y)
        .predict_proba(X)[:, 1]
        for share in (0.0, 0.2)
    )
    exact = LogisticRegression().fit(X, y).predict(X)
    assert np.abs(smooth - 0.5).mean() < np.abs(plain - 0.5).mean()
    assert np.mean((smooth > 0.5) == exact) > 0.95


# -- how they are chosen


def test_the_parameters_are_axes_of_a_grid():
    grid = {"output_layer__loss": ["huber", "squared_error"], "output_layer__delta": [0.1, 50.0]}
    search = GridSearchCV(regressor(RegressionOutput(), n_epochs=5), grid, cv=2).fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 3  # two deltas, and one squared error
    assert isinstance(clone(search.best_estimator_).output_layer, RegressionOutput)


def test_parameters_go_in_and_out():
    output = RegressionOutput("huber", delta=3.0)
    assert clone(output).get_params() == {"loss": "huber", "delta": 3.0, "quantile": 0.5, "head": ("dropout", "affine")}
    assert repr(output) == "RegressionOutput(delta=3.0, loss='huber')"
    assert output.set_params(loss="quantile", quantile=0.2).get_params()["loss"] == "quantile"
    assert callable(output.loss)


@pytest.mark.parametrize("output", [REGRESSION[1], REGRESSION[3], CLASSIFICATION[2], CLASSIFICATION[-1]], ids=repr)
def test_a_saved_estimator_keeps_its_loss(output, tmp_path):
    kind = MLPRegressor if isinstance(output, RegressionOutput) else MLPClassifier
    y = np.eye(2, dtype=int)[COUNTS % 2] if isinstance(output, MultilabelOutput) else COUNTS % 2
    weights = {"class_weight": [{0: 1, 1: 2}, {0: 3, 1: 1}]} if isinstance(output, MultilabelOutput) else {}
    model = kind(output_layer=output, n_epochs=1, random_state=0, **weights).fit(X, y)
    ffnn.save(model, tmp_path / "model")
    loaded = ffnn.load(tmp_path / "model")
    assert loaded.output_layer.get_params() == loaded.network_.output.get_params() == output.get_params()
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.network_.structure() == model.network_.structure()


def test_a_subclass_with_parameters_of_its_own_has_the_default_loss():
    class Own(RegressionOutput):
        def __init__(self, shift=0.0):
            self.shift = shift

    assert Own(2.0).get_params() == {"shift": 2.0}
    assert np.isfinite(regressor(Own(), n_epochs=1).fit(X, Y).loss_curve_).all()


def test_a_program_serves_every_delta_and_every_share():
    for output, other in (
        (RegressionOutput("huber", delta=1.0), RegressionOutput("huber", delta=2.0)),
        (BinaryOutput(label_smoothing=0.1), BinaryOutput(label_smoothing=0.2)),
    ):
        y = np.array([0, 1, 1])
        assert fitted(output, y).structure() == fitted(other, 1 - y).structure()
    assert fitted(RegressionOutput("huber"), y).structure() != fitted(RegressionOutput(), y).structure()


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        (RegressionOutput("huberr"), ValueError, "RegressionOutput.loss='huberr' is not known. Did you mean 'huber'"),
        (RegressionOutput("huber", delta=0), ValueError, "RegressionOutput.delta=0: expected a finite number greater"),
        (RegressionOutput("huber", delta="1"), TypeError, "RegressionOutput.delta='1': expected .* got str"),
        (RegressionOutput("quantile", quantile=1.0), ValueError, r"quantile=1.0: expected a number in \(0, 1\)"),
        (RegressionOutput(None), ValueError, "RegressionOutput.loss=None is not known"),
        (RegressionOutput("poisson"), ValueError, "loss='poisson': expected targets of at least 0.*y has -1"),
    ],
)
def test_a_wrong_regression_loss_is_refused(output, error, message):
    with pytest.raises(error, match=message):
        MLPRegressor(output_layer=output).fit([[0.0], [1.0]], [1.0, -1.0])


@pytest.mark.parametrize("kind", [BinaryOutput, MulticlassOutput, MultilabelOutput])
@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"loss": "huber"}, ValueError, "Output.loss='huber' is not known.*Expected one of log_loss, focal"),
        ({"gamma": -1}, ValueError, "Output.gamma=-1: expected a finite number of at least 0"),
        ({"label_smoothing": 1.0}, ValueError, r"Output.label_smoothing=1.0: expected a number in \[0, 1\)"),
        ({"label_smoothing": "a"}, TypeError, "Output.label_smoothing='a'"),
    ],
)
def test_a_wrong_classification_loss_is_refused(kind, parameters, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(output_layer=kind(**parameters)).fit(
            [[0.0], [1.0]], [[1, 0], [0, 1]] if kind is MultilabelOutput else [0, 1]
        )


def test_later_negative_counts_are_refused_too():
    model = regressor(RegressionOutput("poisson")).partial_fit(X, COUNTS)
    with pytest.raises(ValueError, match="expected targets of at least 0"):
        model.partial_fit(X, -COUNTS)
    assert model.n_iter_ == 1


# -- their head

HEADED = [
    (MLPClassifier, BinaryOutput, np.arange(60) % 2),
    (MLPClassifier, MulticlassOutput, np.arange(60) % 3),
    (MLPClassifier, MultilabelOutput, np.eye(3)[np.arange(60) % 3]),
    (MLPRegressor, RegressionOutput, np.arange(60.0)),
]


@pytest.mark.parametrize(("kind", "output", "y"), HEADED, ids=lambda value: getattr(value, "__name__", ""))
def test_the_head_is_a_parameter(kind, output, y):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = kind((4,), n_epochs=1, output_layer=output(head=["layer_norm", "affine"])).fit(X, y)
    assert [stage.name for stage in model.network_.stages][-2:] == ["output.layernorm", "output.affine"]
    # the head's layers are stages, which say what they are: so a list, too, shares a program with its equal
    assert model.network_.output.structure() == output().fit(y, None, np.ones(60)).structure()
    with pytest.raises(TypeError, match="output_layer.head='affine': expected a sequence of layers"):
        kind(output_layer=output(head="affine")).fit(X, y)
    with pytest.raises(ValueError, match="output_layer.head must name a layer that is registered; got 'afine'"):
        kind(output_layer=output(head=("afine",))).fit(X, y)
