from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - it enables the import below
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from ffnn import MLPClassifier, SearchDisplay

X, Y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)  # any search has the same results, and trees are quick


def points(container):
    line, _, (bars,) = container.lines
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    return line.get_xdata().tolist(), line.get_ydata().tolist(), (ends[:, 1] - ends[:, 0]) / 2


def test_one_parameter_is_points_with_their_spread():
    search = GridSearchCV(make_pipeline(TREE), {"decisiontreeclassifier__max_depth": [3, 1, 2]}, cv=3).fit(X, Y)
    display = SearchDisplay.from_search(search)
    (container,) = display.ax_.containers
    x, means, spreads = points(container)
    assert x == [1, 2, 3]
    assert means == search.cv_results_["mean_test_score"][[1, 2, 0]].tolist()
    np.testing.assert_allclose(spreads, search.cv_results_["std_test_score"][[1, 2, 0]])
    assert display.ax_.get_xlabel() == "decisiontreeclassifier__max_depth"
    assert display.ax_.get_ylabel() == "score"


def test_two_parameters_are_a_line_each_of_the_second():
    grid = {"hidden_units": [(), (4, 2)], "learning_rate": [1e-4, 1e-1], "solver": ["adam"]}
    search = GridSearchCV(MLPClassifier(n_epochs=2, random_state=0), grid, cv=2).fit(X, Y)
    _, ax = plt.subplots()
    display = SearchDisplay.from_search(search, parameters=["learning_rate", "hidden_units"], ax=ax)
    assert display.ax_ is ax
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["()", "(4, 2)"]
    for i, container in enumerate(ax.containers):
        x, means, _ = points(container)
        assert x == [1e-4, 1e-1]
        assert means == search.cv_results_["mean_test_score"][2 * i : 2 * i + 2].tolist()
    other = SearchDisplay.from_search(search)  # those that vary, in the search's order
    assert list(other.parameters) == ["hidden_units", "learning_rate"]
    assert [text.get_text() for text in other.ax_.get_xticklabels()] == ["()", "(4, 2)"]


def test_many_values_of_both_are_coloured_points():
    space = {"ccp_alpha": loguniform(1e-4, 1), "min_impurity_decrease": loguniform(1e-4, 1)}
    search = RandomizedSearchCV(TREE, space, n_iter=12, cv=3, random_state=0).fit(X, Y)
    display = SearchDisplay.from_search(search)
    (dots,) = display.ax_.collections
    np.testing.assert_allclose(dots.get_array(), search.cv_results_["mean_test_score"])
    spreads = search.cv_results_["std_test_score"]
    assert np.argmax(dots.get_sizes()) == np.argmax(spreads)
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    assert "spread" in display.figure_.axes[1].get_ylabel()


def test_over_other_parameters_the_best_is_shown():
    grid = {"max_depth": [1, 2], "criterion": ["gini", "entropy"], "min_samples_leaf": [1, 60]}
    search = GridSearchCV(TREE, grid, cv=3).fit(X, Y)
    _, means, _ = points(SearchDisplay.from_search(search, parameters="max_depth").ax_.containers[0])
    results = search.cv_results_
    for depth, mean in zip((1, 2), means, strict=True):
        assert mean == results["mean_test_score"][results["param_max_depth"] == depth].max()


def test_from_three_parameters_on_each_candidate_crosses_an_axis_for_each():
    grid = {"max_depth": [1, 2, 4], "criterion": ["gini", "entropy"], "min_samples_leaf": [1, 10, 100]}
    search = GridSearchCV(TREE, grid, cv=3).fit(X, Y)
    display = SearchDisplay.from_search(search)
    results = search.cv_results_
    names = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert names == ["criterion", "max_depth", "min_samples_leaf", "score"]
    failed, lines = display.ax_.collections
    assert len(failed.get_segments()) == 0
    order = np.argsort(results["mean_test_score"], kind="stable")  # the best on top
    np.testing.assert_array_equal(lines.get_array(), results["mean_test_score"][order])
    heights = np.array([segment[:, 1] for segment in lines.get_segments()])
    for i, places in enumerate(({"gini": 0, "entropy": 1}, {1: 0, 2: 1 / 3, 4: 1}, {1: 0, 10: 0.5, 100: 1})):
        np.testing.assert_allclose(heights[:, i], [places[results["params"][k][names[i]]] for k in order])
    assert (heights[0, 3], heights[-1, 3]) == (0, 1)
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts[:8] == ["gini", "entropy", "1", "2", "4", "1", "10", "100"]
    assert display.figure_.axes[1].get_ylabel() == "score"


def test_a_candidate_that_failed_ends_before_the_score():
    grid = {"max_depth": [1, -5], "criterion": ["gini", "entropy"], "min_samples_leaf": [1, 2]}
    search = GridSearchCV(TREE, grid, cv=2, error_score=np.nan)
    with pytest.warns(Warning, match="fits failed"):
        search.fit(X, Y)
    failed, lines = SearchDisplay.from_search(search).ax_.collections
    assert [len(segment) for segment in failed.get_segments()] == [3] * 4
    assert [len(segment) for segment in lines.get_segments()] == [4] * 4


def test_it_has_the_constructor_of_scikit_learns_displays():
    search = GridSearchCV(TREE, {"max_depth": [1, 2]}, cv=2).fit(X, Y)
    display = SearchDisplay.from_estimator(search, parameters="max_depth")
    np.testing.assert_array_equal(display.means, search.cv_results_["mean_test_score"])


def test_several_metrics_and_failed_candidates():
    grid = {"max_depth": [1, -5]}
    search = GridSearchCV(TREE, grid, scoring=["accuracy", "f1_macro"], refit="f1_macro", cv=2, error_score=np.nan)
    with pytest.warns(Warning, match="fits failed"):
        search.fit(X, Y)
    display = SearchDisplay.from_search(search)
    assert display.ax_.get_ylabel() == "f1_macro"
    assert np.isnan(display.means).tolist() == [False, True]
    assert SearchDisplay.from_search(search, metric="accuracy").ax_.get_ylabel() == "accuracy"
    with pytest.raises(ValueError, match="metric='loss': expected one of accuracy, f1_macro"):
        SearchDisplay.from_search(search, metric="loss")


def test_of_a_halving_search_the_last_round_counts():
    search = HalvingGridSearchCV(TREE, {"max_depth": [1, 2, 3]}, random_state=0, min_resources=30).fit(X, Y)
    display = SearchDisplay.from_search(search)
    results = search.cv_results_
    assert len(results["params"]) > 3
    for depth, mean in zip(display.parameters["max_depth"], display.means, strict=True):
        rows = np.flatnonzero(results["param_max_depth"] == depth)
        assert mean == results["mean_test_score"][rows[np.argmax(results["iter"][rows])]]


def test_of_a_halving_search_all_rounds_are_read_where_they_are_from_scikit_learn_1_10_on():
    search = HalvingGridSearchCV(TREE, {"max_depth": [1, 2, 3]}, random_state=0, min_resources=30).fit(X, Y)
    expected = SearchDisplay.from_search(search)
    results = search.cv_results_
    last = results["iter"] == results["iter"].max()
    search.all_cv_results_ = results
    search.cv_results_ = {name: np.asarray(values)[last] for name, values in results.items()}
    display = SearchDisplay.from_search(search)
    assert display.parameters == expected.parameters
    np.testing.assert_array_equal(display.means, expected.means)


def test_what_is_no_search_is_refused():
    with pytest.raises(TypeError, match="expected a fitted search.*got dict"):
        SearchDisplay.from_search({})
    with pytest.raises(NotFittedError):
        SearchDisplay.from_search(GridSearchCV(TREE, {"max_depth": [1]}))
    search = GridSearchCV(TREE, {"max_depth": [1, 2]}, cv=2).fit(X, Y)
    for wrong in ("depth", [], ["max_depth", "max_depth"]):
        with pytest.raises(ValueError, match="parameters=.*expected one or more of max_depth"):
            SearchDisplay.from_search(search, parameters=wrong)
