"""scikit-learn's own checks of estimators with each layer, on every builder."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ffnn import MLPClassifier, MLPRegressor
from tests.conftest import BUILDERS

BLOCKS = [
    ("affine", "batch_norm", "prelu"),
    ("affine", "residual", "layer_norm", "activation"),
    ("gaussian_noise", "affine", "activation"),
]
ESTIMATORS = [
    kind(block=block, n_epochs=20, learning_rate=3e-3, builder=builder, random_state=0)
    for builder in BUILDERS
    for block in BLOCKS
    for kind in (MLPClassifier, MLPRegressor)
]


def expected(estimator):
    if "gaussian_noise" in estimator.block:
        why = "each of two equal rows has noise of its own, a row of weight 2 has one"
        return {f"check_sample_weight_equivalence_on_{kind}_data": why for kind in ("dense", "sparse")}
    return {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
