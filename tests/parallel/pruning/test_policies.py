"""Policies of pruning: which candidates go on."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import ffnn


def test_successive_halving_compares_at_powers() -> None:
    assert list(itertools.islice(ffnn.SuccessiveHalving(4, 3).rungs(), 4)) == [3, 12, 48, 192]


@pytest.mark.parametrize(("n", "factor", "kept"), [(24, 3, 8), (8, 3, 3), (2, 3, 1), (5, 2, 3), (3, 3, 1)])
def test_it_keeps_one_in_factor(n: int, factor: int, kept: int) -> None:
    losses = np.random.default_rng(0).permuted(np.tile(np.arange(float(n))[:, None], 4), axis=0)
    assert ffnn.SuccessiveHalving(factor).keep(losses).sum() == kept


def test_it_keeps_the_lowest_mean_ranks_whatever_the_folds_scale() -> None:
    losses = np.array([[1.0, 300.0, 0.2], [2.0, 100.0, 0.1], [3.0, 200.0, 0.3], [np.inf, np.inf, np.inf]])
    assert ffnn.SuccessiveHalving(2).keep(losses).tolist() == [True, True, False, False]
    assert ffnn.SuccessiveHalving(4).keep(losses).tolist() == [False, True, False, False]


def test_of_equal_candidates_the_first_go_on() -> None:
    assert ffnn.SuccessiveHalving(2).keep(np.ones((4, 2))).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"factor": 1}, ValueError, "factor must be at least 2; got 1"),
        ({"factor": 2.5}, TypeError, "factor must be a whole number"),
        ({"first_epoch": 0}, ValueError, "first_epoch must be at least 1; got 0"),
        ({"monitor": "accuracy"}, ValueError, "monitor must be one of 'loss', 'validation_loss'"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ffnn.SuccessiveHalving(**parameters)


class Odd(ffnn.PruningPolicy):
    monitor = "accuracy"

    def rungs(self) -> list[int]:
        return [1]

    def keep(self, losses: np.ndarray) -> np.ndarray:
        return np.ones(len(losses), bool)


@pytest.mark.parametrize(
    ("prune", "error", "text"),
    [
        (True, TypeError, "prune must be a policy; got True of type bool. Pass ffnn.SuccessiveHalving()"),
        (ffnn.SuccessiveHalving, TypeError, "got the class SuccessiveHalving"),
        (Odd(), ValueError, "prune.monitor must be one of .*; got 'accuracy'"),
    ],
)
def test_what_is_no_policy_is_refused_before_anything_starts(prune: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ffnn.pool("threads", prune=prune)
