"""Frames of every make: numbers stay numbers, and text becomes columns of its own."""

from __future__ import annotations

import numpy as np
import pytest

from ffnn import presets
from ffnn.preprocessing import categorical_columns

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")

DATA = {
    "size": [1.0, 2.0, 3.0, 4.0] * 8,
    "count": [1, 2, 3, 4] * 8,
    "colour": ["red", "green", "blue", "red"] * 8,
    "flag": [True, False] * 16,
}
Y = np.arange(32) % 2


def frames():
    plain = pandas.DataFrame(DATA)
    kind = polars.col("colour").cast(polars.Categorical)
    yield "pandas", plain
    yield "pandas, category", plain.astype({"colour": "category"})
    yield "pandas, nullable", plain.convert_dtypes()
    yield "pandas, pyarrow", plain.convert_dtypes(dtype_backend="pyarrow")
    yield "pyarrow", pyarrow.table(DATA)
    yield "polars", polars.DataFrame(DATA)
    yield "polars, category", polars.DataFrame(DATA).with_columns(kind)


class Exchanged:
    """A frame of which nothing is known but the protocol."""

    def __init__(self, frame):
        self._frame = frame

    def __dataframe__(self):
        return self._frame.__dataframe__()


def test_the_categories_of_every_frame_are_found():
    for name, frame in frames():
        assert categorical_columns(frame) == ["colour", "flag"], name
    assert categorical_columns(Exchanged(pandas.DataFrame(DATA))) == ["colour", "flag"]
    assert categorical_columns(np.zeros((2, 2))) == []


def test_the_modern_preset_takes_every_frame_and_predicts_the_same():
    predictions = {}
    for name, frame in frames():
        fitted = presets.modern(n_epochs=2, hidden_units=(4,), random_state=0).fit(frame, Y)
        assert fitted["mlp"].n_features_in_ == 6, name
        predictions[name] = fitted.predict_proba(frame)
    for name, found in predictions.items():
        np.testing.assert_allclose(found, predictions["pandas"], err_msg=name)


def test_dates_are_neither_numbers_nor_categories():
    dates = pandas.DataFrame({"day": pandas.to_datetime(["2020-01-01", "2020-01-02"])})
    assert categorical_columns(dates) == []
    assert categorical_columns(polars.from_pandas(dates)) == []
