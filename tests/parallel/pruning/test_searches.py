"""Searches that stop their losing candidates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline

import ffnn
from ffnn.parallel.journal.store import JournalFolder
from ffnn.parallel.pool import Pool
from ffnn.parallel.pruning import calls

pytestmark = [
    pytest.mark.timeout(110),
    pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite"),
]

X, y = load_digits(return_X_y=True)
X = X / 16
POLICY = ffnn.SuccessiveHalving(monitor="loss")
MLP = ffnn.MLPClassifier(builder="native", n_epochs=20, random_state=0)
GRID = {"hidden_units": [(4,), (8,), (16,), (64,)], "learning_rate": [1e-4, 3e-4, 1e-3], "weight_decay": [1e-5, 1e-2]}
SMALL = {"hidden_units": [(4,), (32,)], "learning_rate": [1e-4, 1e-3]}


def run(search: Any, pool: Pool, **params: Any) -> Any:
    with pool:
        return search.fit(X, y, **params)


def small(estimator: Any = MLP, grid: Any = SMALL, **options: Any) -> GridSearchCV:
    return GridSearchCV(clone(estimator), grid, **{"cv": 2, "refit": False, **options})


def means(search: Any) -> np.ndarray:
    return search.cv_results_["mean_test_score"]


def assert_the_rest_is_equal(pruned: Any, whole: Any) -> None:
    """The candidates that were not stopped have the same scores, and there are some."""
    left = np.isfinite(means(pruned))
    assert left.any()
    for name, scores in whole.cv_results_.items():
        if name.endswith("_score") and not name.startswith("rank"):
            np.testing.assert_array_equal(pruned.cv_results_[name][left], scores[left])


@pytest.fixture(scope="module")
def unpruned() -> GridSearchCV:
    return run(GridSearchCV(MLP, GRID, cv=3), ffnn.pool("threads"))


@pytest.fixture(params=["threads", "multiprocessing", pytest.param("ssh", marks=pytest.mark.slow)])
def pool(request: pytest.FixtureRequest) -> Pool:
    options: dict[str, Any] = {"n_workers": 2}
    if request.param == "ssh":
        network = request.getfixturevalue("ssh_network")
        options = {
            "hosts": ["alpha", "beta"],
            "config": network.config,
            "python": sys.executable,
            "workers_per_host": 1,
        }
    return ffnn.pool(request.param, prune=POLICY, **options)


def test_the_best_candidate_is_found_in_less_than_half_of_the_epochs(unpruned: GridSearchCV, pool: Pool) -> None:
    search = run(GridSearchCV(MLP, GRID, cv=3), pool)
    assert search.best_params_ == unpruned.best_params_
    assert_the_rest_is_equal(search, unpruned)
    left = np.isfinite(means(search))
    assert left.sum() == 1
    assert (search.cv_results_["rank_test_score"][~left] == 2).all()
    n_fits = 3 * len(left)
    trained = sum(fit.n_epochs for fit in pool.pruned) + 20 * (n_fits - len(pool.pruned))
    assert trained < 0.5 * 20 * n_fits
    assert {fit.n_epochs for fit in pool.pruned} == {2, 6, 18}
    for ours, other in zip(search.best_estimator_.coefs_, unpruned.best_estimator_.coefs_, strict=True):
        np.testing.assert_array_equal(ours, other)  # the refit is whole
    assert pool.summary().startswith("72 tasks on 2 workers")
    assert "3 done, 69 pruned" in pool.summary()


def test_what_was_stopped_is_told() -> None:
    pool = ffnn.pool("threads", prune=POLICY)
    search = run(small(), pool)
    assert len(pool.pruned) == 6
    for fit in pool.pruned:
        assert fit.parameters == search.cv_results_["params"][fit.candidate]
        train, _ = list(StratifiedKFold(2).split(X, y))[fit.fold]
        alone = clone(MLP).set_params(**fit.parameters).fit(X[train], y[train])
        assert fit.value == alone.loss_curve_[fit.n_epochs - 1]


@pytest.mark.parametrize("n_workers", [1, 3])
def test_decisions_do_not_depend_on_the_number_of_workers(n_workers: int) -> None:
    pools = [ffnn.pool("threads", n_workers=n, prune=POLICY) for n in (2, n_workers)]
    searches = [run(small(grid=GRID), pool) for pool in pools]
    np.testing.assert_array_equal(means(searches[0]), means(searches[1]))
    assert pools[0].pruned == pools[1].pruned


@pytest.mark.parametrize("pre_dispatch", [1, "all"])
def test_any_pre_dispatch_will_do(pre_dispatch: Any) -> None:
    search = run(small(pre_dispatch=pre_dispatch), ffnn.pool("threads", prune=POLICY))
    assert np.isfinite(means(search)).sum() == 1


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_score"])
def test_held_out_rows_are_compared(monitor: str) -> None:
    mlp = clone(MLP).set_params(early_stopping=True, n_iter_no_change=3, n_epochs=40)
    if monitor == "validation_score":
        mlp.set_params(scoring="accuracy")
    pool = ffnn.pool("threads", prune=ffnn.SuccessiveHalving(2, 3, monitor=monitor))
    search = run(small(mlp), pool)
    assert_the_rest_is_equal(search, run(small(mlp), ffnn.pool("threads")))
    assert {fit.monitor for fit in pool.pruned} == {monitor}


def test_given_validation_data_are_compared() -> None:
    pool = ffnn.pool("threads", prune=ffnn.SuccessiveHalving())
    search = run(small(), pool, X_val=X[:200], y_val=y[:200])
    assert np.isfinite(means(search)).sum() == 1
    assert len(pool.pruned) == 6


def test_the_last_step_of_a_pipeline_is_pruned() -> None:
    model = Pipeline([("pca", PCA(30, random_state=0)), ("mlp", MLP)])
    grid = {"pca__n_components": [5, 30], "mlp__learning_rate": [1e-4, 1e-3]}
    pool = ffnn.pool("multiprocessing", n_workers=2, prune=POLICY, share=True)
    search = run(small(model, grid), pool)
    assert_the_rest_is_equal(search, run(small(model, grid), ffnn.pool("threads")))
    assert len(pool.pruned) == 6


@pytest.mark.parametrize("held", [0, 1 << 13], ids=["no state", "some states"])
def test_a_fit_whose_state_is_not_kept_begins_anew(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(calls, "_MOST_HELD", held)
    search = run(small(), ffnn.pool("threads", prune=POLICY))
    assert_the_rest_is_equal(search, run(small(), ffnn.pool("threads")))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_is_pruned_too() -> None:
    mlp = clone(MLP).set_params(solver="lbfgs")
    grid = {"hidden_units": [(2,), (4,), (16,)]}
    pool = ffnn.pool("threads", prune=POLICY)
    search = run(small(mlp, grid), pool)
    assert_the_rest_is_equal(search, run(small(mlp, grid), ffnn.pool("threads")))
    assert pool.pruned


def test_estimators_without_epochs_run_to_their_ends() -> None:
    model = Pipeline([("model", MLP)])
    grid = [{"model": [LogisticRegression(max_iter=50), MLP, clone(MLP).set_params(hidden_units=(2,))]}]
    with pytest.warns(UserWarning, match="LogisticRegression does not report its epochs, so its fits run"):
        search = run(small(model, grid), ffnn.pool("threads", prune=POLICY))
    assert np.isfinite(means(search)).tolist() == [True, True, False]


def test_one_candidate_a_refit_and_cross_validate_are_left_alone() -> None:
    pool = ffnn.pool("threads", prune=POLICY)
    with pool:
        assert np.isfinite(means(small(grid={"n_epochs": [5]}).fit(X, y))).all()
        assert np.isfinite(cross_validate(clone(MLP).set_params(n_epochs=5), X, y, cv=2)["test_score"]).all()
    assert pool.pruned == []


def test_a_halving_search_is_pruned_in_each_of_its_rounds() -> None:
    search = HalvingGridSearchCV(MLP, SMALL, cv=2, refit=False, factor=2, min_resources=400, random_state=0)
    pool = ffnn.pool("threads", prune=POLICY)
    run(search, pool)
    rounds = search.cv_results_["iter"]
    left = np.isfinite(means(search))
    assert [left[rounds == i].sum() for i in range(search.n_iterations_)] == [1] * search.n_iterations_
    assert left[search.best_index_]
    assert len(pool.pruned) == 2 * (~left).sum()


def test_several_scores_and_train_scores() -> None:
    options: dict[str, Any] = {"scoring": ["accuracy", "f1_macro"], "return_train_score": True, "error_score": "raise"}
    search = run(small(**options), ffnn.pool("threads", prune=POLICY))
    for name in ("mean_test_accuracy", "mean_test_f1_macro", "mean_train_accuracy"):
        assert np.isfinite(search.cv_results_[name]).sum() == 1
    assert (search.cv_results_["mean_fit_time"] > 0).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_a_candidate_that_fails_does_not_win() -> None:
    grid = {"learning_rate": [1e-3, 1e300, 1e-4]}
    search = run(small(grid=grid), ffnn.pool("threads", prune=POLICY))
    assert np.isfinite(means(search)).tolist() == [True, False, False]


class Chosen(ffnn.PruningPolicy):
    """Keeps the candidates that it is told to."""

    monitor = "loss"

    def __init__(self, rungs: list[int], answer: Any) -> None:
        self._rungs = rungs
        self._answer = answer
        self.shapes: list[tuple[int, ...]] = []

    def rungs(self) -> list[int]:
        return self._rungs

    def keep(self, losses: np.ndarray) -> Any:
        self.shapes.append(losses.shape)
        return self._answer(losses)


def test_a_policy_of_ones_own() -> None:
    policy = Chosen([1, 4], lambda losses: np.arange(len(losses)) < len(losses) - 1)
    search = run(small(), ffnn.pool("threads", prune=policy))
    assert policy.shapes == [(4, 2), (3, 2)]
    assert np.isfinite(means(search)).tolist() == [True, True, False, False]
    assert_the_rest_is_equal(search, run(small(), ffnn.pool("threads")))


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (Chosen([2], lambda losses: np.zeros(len(losses), bool)), "with at least one true"),
        (Chosen([2], lambda losses: np.ones(3, bool)), r"expected a bool array of shape \(4,\)"),
        (Chosen([2], lambda losses: [0, 1]), "Chosen.keep returned"),
        (Chosen([2, 2], lambda losses: np.ones(len(losses), bool)), "Chosen.rungs returned 2 after 2"),
        (Chosen([2], lambda losses: 1 / 0), "division by zero"),
    ],
)
def test_a_policy_that_is_wrong_ends_the_search(policy: Chosen, text: str) -> None:
    with pytest.raises((ValueError, ZeroDivisionError), match=text):
        run(small(), ffnn.pool("threads", prune=policy))


@pytest.mark.parametrize(
    ("monitor", "text"),
    [
        ("validation_loss", "needs validation data; got an MLPClassifier with early_stopping=False"),
        ("validation_score", "Set early_stopping=True, pass X_val"),
    ],
)
def test_what_is_not_measured_is_refused(monitor: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        run(small(), ffnn.pool("threads", prune=ffnn.SuccessiveHalving(monitor=monitor)))


def test_a_score_is_needed_to_compare_scores() -> None:
    mlp = clone(MLP).set_params(early_stopping=True)
    with pytest.raises(ValueError, match="got an estimator with scoring='loss'"):
        run(small(mlp), ffnn.pool("threads", prune=ffnn.SuccessiveHalving(monitor="validation_score")))


# --- with a journal


def records(path: Path) -> list[dict[str, Any]]:
    return [record.meta for _, record in JournalFolder(path).new_records() if record.meta["kind"] == "result"]


def cut(path: Path, n_kept: int) -> None:
    """Cut a journal off after so many results, as a death of the client does."""
    (file,) = path.glob("*.journal")
    ends = [record.end for _, record in JournalFolder(path).new_records() if record.meta["kind"] == "result"]
    with open(file, "r+b") as opened:
        opened.truncate(ends[n_kept - 1] + 7)


@pytest.mark.parametrize("n_kept", [3, 20, 47, 48])
def test_a_search_that_is_resumed_stops_the_same_candidates(tmp_path: Path, n_kept: int) -> None:
    journal = tmp_path / "journal"
    whole = run(small(grid=GRID), ffnn.pool("threads", prune=POLICY, journal=journal))
    before = records(journal)
    assert len(before) == 48
    assert sum(bool(meta.get("pruned")) for meta in before) == 46
    assert {len(meta["curves"]["loss"]) for meta in before} == {2, 6, 18, 20}
    cut(journal, n_kept)
    pool = ffnn.pool("threads", prune=POLICY, journal=journal)
    again = run(small(grid=GRID), pool)
    np.testing.assert_array_equal(means(again), means(whole))
    assert len(records(journal)) == 48
    if n_kept == 48:
        assert pool.summary().startswith("0 tasks")


def test_without_a_policy_what_was_stopped_runs_to_its_end(tmp_path: Path) -> None:
    run(small(), ffnn.pool("threads", prune=POLICY, journal=tmp_path / "journal"))
    pool = ffnn.pool("threads", journal=tmp_path / "journal")
    search = run(small(), pool)
    np.testing.assert_array_equal(means(search), means(run(small(), ffnn.pool("threads"))))
    assert "6 done, 2 more from the journal" in pool.summary()
