"""scikit-learn's own checks: both estimators, on every builder, with both kinds of solver."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ffnn import MLPClassifier, MLPRegressor
from tests.conftest import BUILDERS

ESTIMATORS = [
    # ten iterations are enough for what is checked, as scikit-learn's checks cut the max_iter of its own networks
    kind(builder=builder, solver=solver, n_epochs=10, random_state=0)
    for builder in BUILDERS
    for solver in ("adam", "lbfgs")
    for kind in (MLPClassifier, MLPRegressor)
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
