from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffnn import LossCurveDisplay, MLPClassifier

X, Y = load_iris(return_X_y=True)
PARAMETERS = {"hidden_units": (6,), "n_epochs": 4, "random_state": 0}


def test_the_curve_of_an_estimator_and_of_a_pipeline():
    mlp = MLPClassifier(**PARAMETERS).fit(X, Y)
    display = LossCurveDisplay.from_estimator(mlp, color="red")
    (line,) = display.lines_
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata().tolist() == mlp.loss_curve_
    assert line.get_color() == "red"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "loss")
    assert display.figure_ is display.ax_.figure
    pipeline = make_pipeline(StandardScaler(), mlp).fit(X, Y)
    (line,) = LossCurveDisplay.from_estimator(pipeline).lines_
    assert line.get_ydata().tolist() == pipeline[-1].loss_curve_


def test_validation_and_the_best_epoch_are_shown():
    mlp = MLPClassifier(**PARAMETERS, early_stopping=True).fit(X, Y)
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_estimator(mlp, ax=ax, name="a")
    assert display.ax_ is ax
    training, validation, best = display.lines_
    assert training.get_ydata().tolist() == mlp.loss_curve_
    assert validation.get_ydata().tolist() == mlp.validation_loss_curve_
    assert validation.get_color() == training.get_color()
    assert set(best.get_xdata()) == {mlp.best_epoch_ + 1}
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["a: training", "a: validation", "a: best epoch"]
    assert len(display.plot(ax, name="b").lines_) == 3
    assert "b: training" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_what_has_no_curve_is_refused():
    with pytest.raises(TypeError, match="expected an MLPClassifier.*got LogisticRegression"):
        LossCurveDisplay.from_estimator(LogisticRegression(max_iter=1000).fit(X, Y))
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPClassifier())


@pytest.mark.slow
def test_matplotlib_is_needed_only_to_draw():
    code = """
import sys
sys.modules["matplotlib"] = None
import ffnn
for name in ("LossCurveDisplay", "PredictionGradientDisplay", "SearchDisplay"):
    getattr(ffnn, name)
display = ffnn.LossCurveDisplay(loss_curve=[2.0, 1.0])
try:
    display.plot()
except ImportError as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert "LossCurveDisplay.plot needs matplotlib" in done.stdout, done.stderr
