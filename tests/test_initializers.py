from __future__ import annotations

import numpy as np
import pytest

from ffnn.initializers import INITIALIZERS, draw


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_have_shape_and_dtype_and_follow_the_generator(name, dtype):
    one, again, other = (draw(name, np.random.default_rng(seed), (7, 3), dtype) for seed in (0, 0, 1))
    assert one.shape == (7, 3)
    assert one.dtype == dtype
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, other) == (name in ("zeros", "ones"))


@pytest.mark.parametrize(
    ("name", "variance"),
    [("glorot_uniform", 2 / (300 + 200)), ("he_uniform", 2 / 300), ("lecun_normal", 1 / 300)],
)
def test_the_variance_is_that_of_the_papers(name, variance):
    values = draw(name, np.random.default_rng(0), (300, 200), "float32")
    assert values.var() == pytest.approx(variance, rel=0.02)
    assert values.mean() == pytest.approx(0, abs=3 * np.sqrt(variance / values.size))
    if name.endswith("uniform"):
        assert np.abs(values).max() == pytest.approx(np.sqrt(3 * variance), rel=1e-3)


def test_constants():
    rng = np.random.default_rng(0)
    assert (draw("zeros", rng, (3,), "float32") == 0).all()
    assert (draw("ones", rng, (3,), "float64") == 1).all()
