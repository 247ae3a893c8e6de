"""Tests of a small fitted classifier, for inputs and layers on every builder."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ffnn.exceptions import UnsupportedError
from ffnn.testing._base import Suite, installed_builders

__all__ = ["FittedSuite"]

_FITS: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


class FittedSuite(Suite):
    """A part of the suites of inputs and layers."""

    def data(self) -> Any:
        """Return samples and labels; a suite implements it."""
        raise NotImplementedError

    def fitted(self, builder_name: str) -> Any:
        """Return a classifier fitted to them; a suite implements it."""
        raise NotImplementedError

    def fitted_once(self, builder_name: str) -> Any:
        """Return the result of `fitted`, which the tests of a class share; they must not change it."""
        fits = _FITS.setdefault(type(self), {})
        if builder_name not in fits:
            fits[builder_name] = self.fitted(builder_name)
        return fits[builder_name]

    def test_a_pickled_network_predicts_the_same(self, builder_name: str) -> None:
        estimator, (X, _) = self.fitted_once(builder_name), self.data()
        twin = pickle.loads(pickle.dumps(estimator))
        np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))

    def test_all_builders_predict_the_same(self) -> None:
        X, _ = self.data()
        first, *others = installed_builders()
        estimator = pickle.loads(pickle.dumps(self.fitted_once(first)))
        expected = estimator.predict_proba(X)
        for other in others:
            with suppress(UnsupportedError):
                np.testing.assert_allclose(
                    estimator.set_params(builder=other).predict_proba(X), expected, rtol=1e-5, atol=1e-7
                )
