"""Hidden layers as features, and gradients: what the estimators show of their inside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ffnn import KerasBuilder, MLPClassifier, MLPRegressor
from ffnn_plugins.outputs.regression import RegressionOutput

X, Y = load_iris(return_X_y=True)
PARAMETERS = {"hidden_units": (6, 3), "n_epochs": 5, "random_state": 0}
MULTI = np.column_stack([X[:, 0] > 5.8, X[:, 1] > 3]).astype(int)


def relu(x):
    return np.maximum(x, 0)


# --- transform


def test_the_values_of_each_hidden_layer(builder):
    estimator = MLPClassifier(**PARAMETERS, dropout=0.3, builder=builder).fit(X, Y)
    first = relu(X @ estimator.coefs_[0] + estimator.intercepts_[0])
    second = relu(first @ estimator.coefs_[1] + estimator.intercepts_[1])
    for index, expected in {0: first, 1: second, -1: second, -2: first}.items():
        values = estimator.set_params(transform_layer_index=index).transform(X)
        assert values.dtype == estimator.network_.dtype
        np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-10)
    sparse = estimator.transform(scipy.sparse.csr_array(X))
    np.testing.assert_allclose(sparse, first, rtol=1e-10, atol=1e-10)


def test_a_network_without_a_hidden_layer_has_nothing_to_transform_to():
    estimator = MLPClassifier((), n_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="this network has none.*hidden_units"):
        estimator.transform(X)


@pytest.mark.parametrize("index", [2, -3, 10**9])
def test_a_layer_that_is_not_there_is_refused(index):
    estimator = MLPRegressor(**PARAMETERS, transform_layer_index=index).fit(X, Y)
    with pytest.raises(ValueError, match=rf"transform_layer_index={index}: expected an integer from -2 to 1.*2 hidden"):
        estimator.transform(X)


@pytest.mark.parametrize("index", ["0", 1.0, None, True])
def test_an_index_that_is_no_integer_is_refused(index):
    estimator = MLPRegressor(**PARAMETERS, transform_layer_index=index).fit(X, Y)
    with pytest.raises(TypeError, match="transform_layer_index=.*expected an integer, got"):
        estimator.get_feature_names_out()


def test_the_features_have_names_and_frames():
    estimator = MLPClassifier(**PARAMETERS).set_output(transform="pandas").fit(X, Y)
    assert estimator.get_feature_names_out().tolist() == ["mlpclassifier0", "mlpclassifier1", "mlpclassifier2"]
    frame = estimator.transform(pd.DataFrame(X, index=range(1000, 1150)).to_numpy())
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(estimator.get_feature_names_out())
    assert clone(estimator).fit(X, Y).transform(X).equals(frame)
    estimator.set_params(transform_layer_index=0)
    assert len(estimator.get_feature_names_out()) == 6


def test_the_network_is_a_step_of_a_pipeline():
    pipeline = make_pipeline(MLPClassifier(hidden_units=(16,), n_epochs=60, random_state=0), LogisticRegression())
    assert pipeline.fit(X, Y).score(X, Y) > 0.9
    assert pipeline[-1].coef_.shape == (3, 16)
    assert pipeline[:-1].get_feature_names_out()[0] == "mlpclassifier0"


def test_fit_transform_is_fit_and_then_transform():
    weight = np.linspace(0.1, 2, len(X))
    one, other = MLPRegressor(**PARAMETERS), MLPRegressor(**PARAMETERS)
    np.testing.assert_array_equal(
        one.fit_transform(X, Y, sample_weight=weight), other.fit(X, Y, sample_weight=weight).transform(X)
    )


# --- prediction_gradient


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    ("kind", "y", "outputs"),
    [
        (MLPClassifier, Y > 0, ()), (MLPClassifier, Y, (3,)), (MLPClassifier, MULTI, (2,)),
        (MLPRegressor, 1000 * X[:, 0], ()), (MLPRegressor, X[:, :2] * [10, 1000], (2,)),
    ],
    ids=["binary", "multiclass", "multilabel", "regression", "regressions"],
)  # fmt: skip
def test_the_gradient_is_that_of_what_is_predicted(kind, y, outputs, sparse, builder):
    estimator = kind(**PARAMETERS, activation="tanh", dtype="float64", builder=builder)
    estimator.fit(scipy.sparse.csr_array(X) if sparse else X, y)
    rows = X[::7] * (np.arange(4) != 2)
    gradient = estimator.prediction_gradient(scipy.sparse.csr_array(rows) if sparse else rows)
    assert gradient.shape == (len(rows), *outputs, 4)
    predict = estimator.predict if kind is MLPRegressor else estimator.decision_function
    for feature in range(4):
        step = 1e-5 * (np.arange(4) == feature)
        slope = (predict(rows + step) - predict(rows - step)) / 2e-5
        np.testing.assert_allclose(gradient[..., feature], slope, rtol=1e-5, atol=1e-7 * np.abs(slope).max())


def test_the_gradient_of_a_keras_model_of_ones_own():
    def build(network):
        import keras

        x = keras.Input((network.n_features,))
        hidden = keras.layers.Dense(5, activation="tanh")(x)
        return keras.Model(x, keras.layers.Dense(network.n_outputs, activation="softmax")(hidden))

    estimator = MLPClassifier(builder=KerasBuilder(build=build), n_epochs=2, dtype="float64", random_state=0).fit(X, Y)
    gradient = estimator.prediction_gradient(X)
    assert gradient.shape == (150, 3, 4)
    step = np.array([0, 0, 1e-2, 0])  # its layers compute in float32
    slope = (estimator.decision_function(X + step) - estimator.decision_function(X - step)) / 2e-2
    np.testing.assert_allclose(gradient[..., 2], slope, atol=5e-4)
    with pytest.raises(ValueError, match="does not know the hidden layers.*model_"):
        estimator.transform(X)


def test_the_gradient_of_a_count_is_that_of_its_logarithm():
    estimator = MLPRegressor(**PARAMETERS, activation="tanh", output_layer=RegressionOutput(loss="poisson"))
    gradient = estimator.fit(X, Y).prediction_gradient(X)
    step = np.array([1e-5, 0, 0, 0])
    slope = (np.log(estimator.predict(X + step)) - np.log(estimator.predict(X - step))) / 2e-5
    np.testing.assert_allclose(gradient[:, 0], slope, rtol=1e-5, atol=1e-8)


# --- both


@pytest.mark.parametrize("method", ["transform", "prediction_gradient"])
def test_bad_input_is_refused(method):
    with pytest.raises(NotFittedError):
        getattr(MLPClassifier(), method)(X)
    call = getattr(MLPClassifier(**PARAMETERS).fit(X, Y), method)
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4"):
        call(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        call(X * np.nan)


def test_the_attributes_of_a_network_without_hidden_layers_can_be_listed():
    estimator = MLPRegressor(hidden_units=(), n_epochs=1).fit(X, Y)
    assert "coefs_" in dir(estimator)
    with pytest.raises(ValueError, match="this network has none"):
        estimator.get_feature_names_out()
