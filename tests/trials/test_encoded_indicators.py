"""Indicator matrices that something encoded before the estimator saw them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_predict

from ffnn import MLPClassifier

X = np.random.default_rng(0).normal(size=(30, 3))
Y = np.random.default_rng(1).integers(-1, 2, size=(30, 2))


@pytest.mark.parametrize("output", ["auto", "multilabel"])
@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_what_cross_val_predict_made_of_missing_labels_is_refused_with_the_cause(output, method):
    mlp = MLPClassifier(hidden_units=(2,), n_epochs=1, output_layer=output)
    with pytest.raises(ValueError, match=r"values \[0, 1, 2\].* cross_val_predict does .*: -1, 0, 1 became 0, 1, 2"):
        cross_val_predict(mlp, X, Y, cv=KFold(2), method=method)


def test_other_values_are_shown_without_that_cause():
    for y, shown in ((Y * 3, r"\[-3, 0, 3\]"), (np.arange(60.0).reshape(30, 2), r"9.0\] and 50 more")):
        with pytest.raises(ValueError, match=f"values .*{shown}") as error:
            MLPClassifier(hidden_units=(2,), n_epochs=1).fit(X, y)
        assert "cross_val_predict" not in str(error.value)


def test_predictions_need_no_encoding():
    mlp = MLPClassifier(hidden_units=(2,), n_epochs=1)
    assert cross_val_predict(mlp, X, Y, cv=KFold(2)).shape == Y.shape
