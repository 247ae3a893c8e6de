"""The conformance suite of schedules."""

from __future__ import annotations

import copy
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from ffnn.classifier import MLPClassifier
from ffnn.model import Array
from ffnn.plugins import registry
from ffnn.schedule import Schedule
from ffnn.testing._base import PluginSuite
from ffnn.testing._suite import make_problem

__all__ = ["ScheduleSuite"]

_N_BATCHES = 10


class ScheduleSuite(PluginSuite[Schedule]):
    """Tests that every schedule must pass.

    Attributes
    ----------
    name : str
        The registered name.
    schedule : Schedule
        The schedule to test; by default made without arguments.
    """

    _kind = "schedule"
    _base = Schedule
    schedule: ClassVar[Schedule | None] = None

    # -- helpers

    def rates(self, n_epochs: int = 10, horizon: float = 10.0, start: int = 0) -> Array:
        """Return the rates of some epochs of ten steps each."""
        steps = np.arange(start * _N_BATCHES, n_epochs * _N_BATCHES)
        return self.make().rates(steps, steps / _N_BATCHES, horizon)

    # -- a description

    def test_the_name_is_registered(self) -> None:
        assert isinstance(self.make(), registry.load("schedule", self.name))
        assert isinstance(self.make(), Schedule)
        self.make().check()

    @pytest.mark.parametrize("copied", [clone, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_is_equal(self, copied: Any) -> None:
        assert repr(copied(self.make())) == repr(self.make())

    # -- rates

    def test_there_is_a_rate_for_each_step(self) -> None:
        found = self.rates()
        assert found.shape == (100,)
        assert found.dtype == np.float64
        assert np.all(np.isfinite(found))
        assert np.all(found >= 0)
        assert np.any(found > 0)

    def test_a_rate_depends_on_no_other_step(self) -> None:
        np.testing.assert_array_equal(self.rates(start=7), self.rates()[70:])
        np.testing.assert_array_equal(self.rates(), self.rates())

    def test_past_its_end_it_has_rates_too(self) -> None:
        found = self.rates(n_epochs=30)
        assert np.all(np.isfinite(found))
        assert np.all(found >= 0)

    # -- on an estimator

    def test_fit_is_as_many_partial_fits(self) -> None:
        problem = make_problem()
        X, y = problem.x.arrays[0], problem.targets
        parameters: dict[str, Any] = {"hidden_units": (5,), "batch_size": 10, "n_epochs": 3, "random_state": 0}
        whole = MLPClassifier(**parameters, learning_rate=self.make()).fit(X, y)
        parts = MLPClassifier(**parameters, learning_rate=self.make())
        for _ in range(3):
            parts.partial_fit(X, y, classes=np.unique(y))
        np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])
        assert whole.loss_curve_ == parts.loss_curve_
