from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ffnn import MLPClassifier
from ffnn.ops import NumpyOps
from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.outputs.multilabel import MultilabelOutput
from tests.support.estimators import count_programs

rng = np.random.default_rng(0)


class TestMultilabel(OutputSuite):
    name = "multilabel"
    y = rng.integers(0, 2, size=(24, 3))


INDICATORS = arrays.arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(2, 4)), elements=st.integers(-1, 1))


def fitted(y):
    return MultilabelOutput().fit(y, None, np.ones(y.shape[0]))


@given(INDICATORS)
@settings(deadline=None)
def test_indicators_come_back_dense_and_sparse(y):
    output = fitted(y)
    np.testing.assert_array_equal(output.classes_, np.arange(y.shape[1]))
    for form in (np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array):
        assert output.accepts(form(y), None)
        encoded = output.encode(form(y), "float32")
        assert isinstance(encoded, np.ndarray)
        np.testing.assert_array_equal(encoded, y)
    known = y >= 0
    np.testing.assert_array_equal(output.decode(y - 0.5)[known], y[known])


@given(INDICATORS, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_missing_entries_change_neither_loss_nor_score(y, seed):
    output = fitted(y)
    scores = np.random.default_rng(seed).normal(size=y.shape)
    other = np.where(y < 0, 1e3, scores)
    ops, ones = NumpyOps(), np.ones(len(y))
    loss, mass = output.loss(ops, scores, y.astype(float), ones)
    assert output.loss(ops, other, y.astype(float), ones) == (loss, mass)
    assert mass == (y >= 0).sum()
    assert np.isfinite(loss)
    if (y >= 0).any():
        expected = output.score(y, output.decode(scores), None)
        assert output.score(y, output.decode(other), None) == expected
        assert output.score(scipy.sparse.csr_array(y), output.decode(scores), None) == expected
    else:
        assert loss == 0


def test_the_score_is_over_the_rows_with_a_known_label():
    y = np.array([[1, 0], [1, -1], [-1, -1], [0, 0]])
    predictions = np.array([[1, 0], [1, 1], [0, 0], [1, 0]])
    output = fitted(y)
    assert output.score(y, predictions, None) == pytest.approx(2 / 3)
    assert output.score(y, predictions, [1, 1, 9, 2]) == pytest.approx(2 / 4)
    with pytest.raises(ValueError, match="no known label"):
        output.score(y, predictions, [0, 0, 1, 0])


def test_without_missing_entries_it_is_scikit_learns_accuracy():
    from sklearn.metrics import accuracy_score

    y, predictions = rng.integers(0, 2, size=(2, 30, 2))
    assert fitted(y).score(y, predictions, None) == accuracy_score(y, predictions)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([[0, 2, 1]]), r"has the values \[0, 1, 2\]; a multilabel indicator takes 1, 0 and.*-1.*Encode"),
        (np.array([[0, 1]]), r"shape \(1, 2\); expected \(n_samples, 3\)"),
    ],
)
def test_bad_targets_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        fitted(np.array([[0, 1, 1]])).encode(y, "float32")


def test_classes_can_only_be_the_indices():
    y = np.array([[0, 1, 1]])
    assert MultilabelOutput().fit(y, np.array([2, 0, 1]), np.ones(1)).n_outputs_ == 3
    with pytest.raises(ValueError, match="classes=.*expected the labels' indices.*Leave classes out"):
        MultilabelOutput().fit(y, np.array(["a", "b", "c"]), np.ones(1))


@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_folds_with_weights_of_their_own_share_a_program(builder, monkeypatch):
    made = count_programs(monkeypatch, builder)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(90, 4)).astype(np.float32), (rng.random((90, 3)) < 0.3).astype(int)
    folds = [
        MLPClassifier((17,), n_epochs=1, class_weight="balanced", builder=builder).fit(X[start:], Y[start:])
        for start in (0, 10, 20)
    ]
    assert len({fold.network_.output.label_weights_.tobytes() for fold in folds}) == 3
    assert len(made) == 1
