from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.outputs.multiclass import MulticlassOutput


class TestMulticlass(OutputSuite):
    name = "multiclass"
    y = np.arange(24) % 3


class TestMulticlassOfStrings(OutputSuite):
    name = "multiclass"
    y = np.array(["pear", "fig", "apple", "date"] * 6)


def fitted(y, classes=None, weight=None):
    return MulticlassOutput().fit(np.asarray(y), classes, np.ones(len(y)) if weight is None else np.asarray(weight))


@given(
    labels=st.one_of(
        st.lists(st.integers(-(2**40), 2**40), min_size=3, max_size=9, unique=True),
        st.lists(st.text("abcé ", max_size=5), min_size=3, max_size=9, unique=True),
    ),
    data=st.data(),
)
@settings(deadline=None)
def test_labels_come_back(labels, data):
    extra = data.draw(st.lists(st.sampled_from(labels), max_size=20))
    y = np.array(data.draw(st.permutations(labels + extra)))
    output = fitted(y)
    codes = output.encode(y, "float32")
    assert codes.dtype == np.int32
    assert output.n_outputs_ == len(labels) == len(output.classes_)
    np.testing.assert_array_equal(output.decode(np.eye(len(labels))[codes]), y)


@given(known=st.sets(st.integers(0, 50), min_size=2), brought=st.sets(st.integers(0, 50), min_size=1))
@settings(deadline=None)
def test_exactly_the_unseen_labels_are_refused(known, brought):
    output = fitted(sorted(known))
    y = np.array(sorted(brought))
    unseen = sorted(brought - known)
    if not unseen:
        np.testing.assert_array_equal(output.classes_[output.encode(y, "float64")], y)
    else:
        with pytest.raises(ValueError, match="not among the classes") as error:
            output.encode(y, "float64")
        assert str(unseen[:10]) in str(error.value)


def test_classes_are_sorted_and_unique():
    np.testing.assert_array_equal(fitted([2, 2], classes=[3, 1, 2, 3]).classes_, [1, 2, 3])


def test_probabilities_sum_to_one():
    scores = np.random.default_rng(0).normal(scale=5, size=(30, 3))
    probabilities = fitted([0, 1, 2]).probabilities(scores)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), scores.argmax(axis=1))


def test_a_single_class_is_certain_also_when_the_others_weigh_nothing():
    scores = np.random.default_rng(0).normal(size=(5, 3))
    for y, weight, label in (([1, 1], [1, 1], 1), ([1, 2, 3], [0, 2, 0], 2)):
        output = fitted(y, weight=weight)
        output.balance(None, np.asarray(y), np.asarray(weight))
        np.testing.assert_array_equal(output.decode(scores[:, : output.n_outputs_]), label)
        np.testing.assert_allclose(output.probabilities(scores[:, : output.n_outputs_]).max(axis=1), 1)


def test_real_numbers_are_no_labels():
    with pytest.raises(ValueError, match="continuous"):
        fitted([0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    "y", [[0, 1, 2, 2, 1], ["a", "b", "c", "b", "a"], np.array([2, 1, 0, 1, 2], np.int8), [0.0, 1.0, 2.0, 2.0, 1.0]]
)
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0, 0.5, 0.0]])
def test_the_score_is_scikit_learns_accuracy(y, weight):
    y = np.asarray(y)
    predictions = y[[0, 2, 2, 1, 4]]
    assert fitted(y).score(y, predictions, weight) == accuracy_score(y, predictions, sample_weight=weight)


@pytest.mark.parametrize("y", [[0, 1, 2, 1], ["a", "b", "c", "b", "a"]])
def test_a_score_of_other_labels_is_refused(y):
    with pytest.raises((TypeError, ValueError)):
        fitted([0, 1, 2, 1, 0]).score(np.asarray(y), np.array([0, 1, 2, 1, 0]), None)


def test_labels_that_look_like_numbers_to_be_predicted_are_warned_of():
    with pytest.warns(UserWarning, match="unique classes"):
        fitted(np.arange(30))
