"""One description, the same training on every builder."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

from ffnn import MLPClassifier, MLPRegressor
from tests.conftest import BUILDERS

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
TARGETS = {
    "binary": Y > 4,
    "multiclass": Y,
    "multilabel": np.column_stack([Y > 4, Y % 2, np.where(Y == 3, -1, Y % 3 == 0)]).astype(int),
    "regression": np.column_stack([X[:, 10] + X[:, 20], 100 * X[:, 30]]),
}


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)])
@pytest.mark.parametrize("output", TARGETS)
def test_the_loss_curves_of_all_builders_agree(output, dtype, tolerance, form):
    kind = MLPRegressor if output == "regression" else MLPClassifier
    curves = []
    for builder in BUILDERS:
        estimator = kind((16, 8), n_epochs=20, weight_decay=1e-4, dtype=dtype, builder=builder, random_state=0)
        curves.append(estimator.fit(form(X), TARGETS[output]).loss_curve_)
    assert len(curves[0]) == 20
    assert curves[0][-1] < curves[0][0]
    for curve in curves[1:]:
        np.testing.assert_allclose(curve, curves[0], rtol=tolerance)


@pytest.mark.parametrize("solver", ["adamw", "sgd", "rmsprop", "adagrad", "lbfgs"])
def test_every_solver_is_the_same_on_all_builders(solver):
    curves = [
        MLPClassifier(
            (16,), n_epochs=10, solver=solver, weight_decay=1e-3, dtype="float64", builder=builder, random_state=0
        ).fit(X, Y).loss_curve_
        for builder in BUILDERS
    ]  # fmt: skip
    for curve in curves[1:]:
        np.testing.assert_allclose(curve, curves[0], rtol=1e-7)
