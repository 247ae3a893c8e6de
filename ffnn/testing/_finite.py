"""Tests that every builder's models detect a state that is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from ffnn.exceptions import UnsupportedError
from ffnn.testing._suite import ModelSuite, Problem, make_problem

__all__ = ["FiniteSuite"]


class FiniteSuite(ModelSuite):
    """A part of the suite of builders."""

    def _problem(self, dtype: str) -> Problem:
        """Return a problem whose state has moving averages, too, if the builder has such layers."""
        problem = make_problem(dtype=dtype, block=("affine", "batch_norm", "activation"))
        try:
            self.model(problem)
        except UnsupportedError:
            return make_problem(dtype=dtype, block=("affine", "layer_norm", "activation"))
        return problem

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_each_number_of_a_state_must_be_finite(self, dtype: str) -> None:
        problem = self._problem(dtype)
        model = self.model(problem)
        model.train_epoch(problem.plan())
        assert model.is_finite() is True
        for kind in ("weights", "slots"):
            for name in getattr(model.get_state(), kind):
                for value in (np.nan, np.inf, -np.inf):
                    state = model.get_state()
                    getattr(state, kind)[name].flat[-1] = value
                    other = self.model(problem)
                    other.set_state(state)
                    assert other.is_finite() is False, (name, value)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_a_trained_weight_whose_square_overflows_is_too_large(self, dtype: str) -> None:
        problem = self._problem(dtype)
        model = self.model(problem)
        large = 2 * np.sqrt(np.finfo(dtype).max)
        for name, trained in problem.network.weights.items():
            state = model.get_state()
            state.weights[name].flat[-1] = large
            other = self.model(problem)
            other.set_state(state)
            assert other.is_finite() is not trained.trainable, name

    @pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
    def test_an_epoch_that_ruins_the_state_is_told_from_others(self, sparse: bool) -> None:
        problem = make_problem(dtype="float32", sparse=sparse)
        model = self.model(problem)
        model.train_epoch(problem.plan())
        assert model.is_finite() is True
        model.train_epoch(problem.plan(1, learning_rate=1e38))
        assert model.is_finite() is False
