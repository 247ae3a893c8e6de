from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ffnn import MLPClassifier, MLPRegressor, PredictionGradientDisplay
from ffnn.displays import prediction_gradient

X, Y = load_iris(return_X_y=True)
PARAMETERS = {"hidden_units": (6,), "n_epochs": 4, "random_state": 0}


def labels(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def widths(bars):
    return [bar.get_width() for bar in bars]


def test_the_top_features_are_those_of_the_largest_mean_gradient():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    mlp = MLPClassifier(**PARAMETERS).fit(frame, Y > 0)
    display = PredictionGradientDisplay.from_estimator(mlp, frame, n_features=3, color="red")
    mean = np.abs(mlp.prediction_gradient(frame)).mean(axis=0)
    top = np.argsort(-mean)[:3]
    assert labels(display) == ["abcd"[i] for i in top]
    (bars,) = display.bars_
    np.testing.assert_allclose(widths(bars), mean[top], rtol=1e-6)
    assert bars[0].get_facecolor() == (1, 0, 0, 1)
    assert display.ax_.get_legend() is None
    assert len(labels(display.plot())) == 4


def test_each_output_is_a_part_of_a_bar():
    mlp = MLPClassifier(**PARAMETERS).fit(X, np.array(["x", "y", "z"])[Y])
    display = PredictionGradientDisplay.from_estimator(mlp, X)
    mean = np.abs(mlp.prediction_gradient(X)).mean(axis=0)
    top = np.argsort(-mean.sum(axis=0))
    assert labels(display) == [f"x{i}" for i in top]
    for bars, part in zip(display.bars_, mean, strict=True):
        np.testing.assert_allclose(widths(bars), part[top] / 3, rtol=1e-6)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["x", "y", "z"]


def test_many_outputs_are_one_bar():
    targets = X @ np.random.default_rng(0).normal(size=(4, 12))
    mlp = MLPRegressor(**PARAMETERS).fit(X, targets)
    display = PredictionGradientDisplay.from_estimator(mlp, X)
    assert display.mean_gradient.shape == (12, 4)
    (bars,) = display.bars_
    assert sum(widths(bars)) == pytest.approx(display.mean_gradient.mean(axis=0).sum())


def test_a_pipelines_features_are_those_before_the_network():
    texts, y = ["red apple", "green apple", "red pear", "green pear"] * 10, [0, 1, 0, 1] * 10
    pipeline = make_pipeline(CountVectorizer(), MLPClassifier((), solver="lbfgs", weight_decay=0.1, n_epochs=50)).fit(
        texts, y
    )
    display = PredictionGradientDisplay.from_estimator(pipeline, texts, n_features=2)
    assert set(labels(display)) == {"red", "green"}
    unnamed = make_pipeline(FunctionTransformer(), MLPClassifier(**PARAMETERS)).fit(X, Y)
    assert labels(PredictionGradientDisplay.from_estimator(unnamed, X))[0].startswith("x")
    named = PredictionGradientDisplay.from_estimator(unnamed, X, feature_names=list("abcd"))
    assert set(labels(named)) == set("abcd")


def test_the_rows_are_taken_some_at_a_time(monkeypatch):
    mlp = MLPClassifier(**PARAMETERS).fit(X, Y)
    whole = PredictionGradientDisplay.from_estimator(mlp, X).mean_gradient
    monkeypatch.setattr(prediction_gradient, "_MAX_VALUES", 12 * 70)
    for form in (X, X.tolist(), pd.DataFrame(X).to_numpy()):
        np.testing.assert_allclose(PredictionGradientDisplay.from_estimator(mlp, form).mean_gradient, whole, rtol=1e-12)


def test_bad_input_is_refused():
    mlp = MLPClassifier(**PARAMETERS).fit(X, Y)
    with pytest.raises(TypeError, match="got LogisticRegression"):
        PredictionGradientDisplay.from_estimator(LogisticRegression(max_iter=1000).fit(X, Y), X)
    with pytest.raises(NotFittedError):
        PredictionGradientDisplay.from_estimator(make_pipeline(StandardScaler(), MLPClassifier()), X)
    with pytest.raises(ValueError, match="feature_names: expected 4.*got 1"):
        PredictionGradientDisplay.from_estimator(mlp, X, feature_names=["a"])
    with pytest.raises(ValueError, match="n_features=0: expected a positive integer"):
        PredictionGradientDisplay.from_estimator(mlp, X, n_features=0)
    with pytest.raises(TypeError, match="n_features='3': expected a positive integer"):
        PredictionGradientDisplay.from_estimator(mlp, X, n_features="3")
