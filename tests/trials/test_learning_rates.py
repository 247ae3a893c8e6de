"""Learning rates that no float can hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ffnn import Cosine, CosLog, MLPClassifier, OneCycle, WarmUp

X, Y = np.arange(20.0)[:, None], np.arange(20) % 2


@pytest.mark.parametrize(
    "rate",
    [10**400, Fraction(10**400), Cosine(10**400), OneCycle(1e-2, first_divisor=10**400), WarmUp(1e-3, n_epochs=10**400),
     lambda step: 10**400],
    ids=["int", "fraction", "cosine", "one cycle", "warm-up", "function"],
)  # fmt: skip
def test_a_rate_that_no_float_can_hold_is_refused_by_name(rate):
    with pytest.raises((TypeError, ValueError), match=r"learning_rate.*expected a (finite )?number"):
        MLPClassifier((4,), n_epochs=1, learning_rate=rate).fit(X, Y)


def test_too_many_cycles_are_refused():
    with pytest.raises(ValueError, match="learning_rate.n_cycles=2000: expected .* at most 50"):
        MLPClassifier((4,), n_epochs=1, learning_rate=CosLog(n_cycles=2000)).fit(X, Y)
    MLPClassifier((4,), n_epochs=1, learning_rate=CosLog(n_cycles=50)).fit(X, Y)
