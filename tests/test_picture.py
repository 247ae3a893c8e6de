"""The HTML that a notebook shows of an estimator: its network, and its loss curve."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.datasets import load_iris

from ffnn import MLPClassifier, MLPRegressor, presets

X, Y = load_iris(return_X_y=True)
SVG = "{http://www.w3.org/2000/svg}"


def pictures(estimator):
    """Return the pictures in what a notebook shows, parsed."""
    html = estimator._repr_mimebundle_()["text/html"]
    assert html.partition('<div class="ffnn-picture"')[2] in estimator._repr_html_()
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg[^>]*role=\"img\".*?</svg>", html, re.DOTALL)]


def words(svg):
    return ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]


def test_the_layers_are_shown_with_their_shapes_and_parameters():
    model = MLPClassifier((16, 8), dropout=0.25, n_epochs=3, builder="native", random_state=0).fit(X, Y)
    network, _ = pictures(model)
    assert words(network) == [
        *("input", "4 features"),
        *("hidden1", "16 units", "Dropout 0.25", "Affine", "relu", "80 parameters"),
        *("hidden2", "8 units", "Dropout 0.25", "Affine", "relu", "136 parameters"),
        *("output", "3 units", "Dropout 0.25", "Affine", "27 parameters"),
    ]
    assert len(list(network.iter(f"{SVG}rect"))) == 4
    assert f"{sum(coef.size for coef in (*model.coefs_, *model.intercepts_))} parameters, " in model._repr_html_()
    assert "trained for 3 epochs" in model._repr_html_()


def test_the_loss_curves_are_drawn_over_the_epochs():
    model = MLPRegressor((4,), n_epochs=5, builder="native", random_state=0)
    _, curve = pictures(model.fit(X, X[:, 0]))
    (line,) = curve.iter(f"{SVG}polyline")
    heights = [float(point.partition(",")[2]) for point in line.get("points").split()]
    np.testing.assert_array_equal(np.argsort(heights), np.argsort(-np.asarray(model.loss_curve_)))
    assert "5 epochs" in words(curve)
    assert f"{model.loss_curve_[0]:.3g}" in words(curve)
    _, curve = pictures(model.fit(X, X[:, 0], X_val=X, y_val=X[:, 0]))
    assert len(list(curve.iter(f"{SVG}polyline"))) == 2
    assert len(pictures(model.set_params(n_epochs=1).fit(X, X[:, 0]))) == 1  # one epoch is no curve


def test_of_an_unfitted_network_the_hidden_layers_are_shown():
    (network,) = pictures(MLPClassifier((300, 20)))
    assert words(network) == ["input", "X", "hidden1", "300 units", "hidden2", "20 units", "output", "y"]
    assert words(pictures(MLPClassifier(()))[0]) == ["input", "X", "output", "y"]
    assert pictures(MLPClassifier(hidden_units="many")) == []


def test_nothing_is_loaded_and_no_names_are_trusted():
    def activation(x):
        return x

    activation.__name__ = "<script>"
    model = MLPClassifier((4,), activation=activation, builder="tf", n_epochs=1).fit(X, Y)
    (network,) = pictures(model)
    assert "<script>" in words(network)
    html = "".join(re.findall(r'<div class="ffnn-picture".*', model._repr_html_(), re.DOTALL))
    assert html
    assert not re.search(r"<script|src=|href=|url\(", html)


@pytest.mark.slow
def test_a_preset_is_shown_with_its_scaling_layer():
    network, _ = pictures(presets.modern(n_epochs=2, random_state=0).fit(X, Y)[-1])
    assert words(network)[:3] == ["input", "4 features", "4 parameters"]
