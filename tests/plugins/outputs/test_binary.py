from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.outputs.binary import BinaryOutput


class TestBinary(OutputSuite):
    name = "binary"
    y = np.arange(24) // 3 % 2


class TestBinaryOfStrings(OutputSuite):
    name = "binary"
    y = np.array(["yes", "no", "no"] * 8)


class TestBinaryOfPlusAndMinusOne(OutputSuite):
    name = "binary"
    y = np.array([1, -1, -1] * 8)


def fitted(y, classes=None):
    return BinaryOutput().fit(np.asarray(y), classes, np.ones(len(y)))


@given(
    labels=st.one_of(
        st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=2, unique=True),
        st.lists(st.text("abcé ", max_size=5), min_size=2, max_size=2, unique=True),
        st.just([False, True]),
    ),
    which=st.lists(st.integers(0, 1), min_size=2, max_size=20).filter(lambda w: len(set(w)) == 2),
)
@settings(deadline=None)
def test_labels_come_back(labels, which):
    y = np.array(labels)[which]
    output = fitted(y)
    encoded = output.encode(y, "float32")
    assert encoded.shape == (len(y), 1)
    assert set(encoded.ravel()) == {0, 1}
    np.testing.assert_array_equal(output.decode(2 * encoded - 1), y)
    np.testing.assert_array_equal(output.classes_, np.unique(y))


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20))
@settings(deadline=None)
def test_probabilities_agree_with_predictions(values):
    output = fitted(["no", "yes"])
    scores = np.array(values)[:, None]
    probabilities = output.probabilities(scores)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    expected = np.where(output.decision(scores) > 0, "yes", "no")
    np.testing.assert_array_equal(output.decode(scores), expected)
    clear = np.abs(values) > 1e-10
    np.testing.assert_array_equal(output.classes_[probabilities.argmax(axis=1)][clear], expected[clear])


def test_the_classes_of_partial_fit_may_be_more_than_those_seen():
    output = fitted([0, 0], classes=[1, 0])
    np.testing.assert_array_equal(output.classes_, [0, 1])


@pytest.mark.parametrize("y", [[1, 1], [["a", "b"]]])
def test_what_it_does_not_accept(y):
    y = np.asarray(y)
    assert BinaryOutput.accepts(y, None) == (y.ndim == 1)


def test_three_classes_are_refused():
    with pytest.raises(ValueError, match="output_layer='binary': expected two classes, got 3.*Use 'multiclass'"):
        fitted([1, 2, 3])


def test_an_unseen_label_is_named():
    with pytest.raises(ValueError, match=r"labels that are not among the classes: \[7\]; the classes are \[1, 2\]"):
        fitted([1, 2]).encode(np.array([1, 7]), "float32")
