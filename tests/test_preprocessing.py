"""The transformers of tabular data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ffnn.preprocessing import RobustSmoothClip, categorical_columns


@parametrize_with_checks([RobustSmoothClip()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_the_middle_is_scaled_by_the_quartiles_and_the_tails_end_at_the_limit():
    x = np.concatenate([np.arange(101.0), [1e6, -1e6]])[:, None]  # quartiles 24.5 and 75.5
    found = RobustSmoothClip(limit=2.0).fit_transform(x)[:, 0]
    z = (x[:, 0] - 50) / (np.quantile(x, 0.75) - np.quantile(x, 0.25))
    np.testing.assert_allclose(found, z / np.sqrt(1 + (z / 2) ** 2))
    np.testing.assert_allclose(found[-2:], [2, -2], rtol=1e-6)
    assert found[50] == 0


def test_equal_quartiles_give_way_to_half_the_range():
    found = RobustSmoothClip().fit_transform(np.eye(10))
    np.testing.assert_allclose(np.unique(found), [0, 2 / np.sqrt(1 + (2 / 3) ** 2)])


def test_a_constant_feature_is_0_for_ever():
    fitted = RobustSmoothClip().fit(np.full((5, 1), 7.0))
    assert fitted.transform([[7.0], [9.0], [-1e30]]).tolist() == [[0], [0], [0]]


def test_float32_stays_and_names_are_kept():
    frame = pd.DataFrame({"a": np.arange(5, dtype=np.float32), "b": np.ones(5, dtype=np.float32)})
    found = RobustSmoothClip().set_output(transform="pandas").fit_transform(frame)
    assert list(found.columns) == ["a", "b"]
    assert set(found.dtypes) == {np.dtype("float32")}


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1.0, ValueError), ("3", TypeError)])
def test_a_wrong_limit_is_refused(limit, error):
    with pytest.raises(error, match=r"RobustSmoothClip.limit=.*expected a finite number greater than 0"):
        RobustSmoothClip(limit=limit).fit([[1.0], [2.0]])


def test_categorical_columns_are_those_of_a_frame_that_are_no_numbers():
    frame = pd.DataFrame(
        {"n": [1, 2], "x": [0.5, 1], "text": ["a", "b"], "flag": [True, False], "kind": pd.Categorical(["u", "v"])}
    )
    assert categorical_columns(frame) == ["text", "flag", "kind"]
    assert categorical_columns(frame.to_numpy()) == []
