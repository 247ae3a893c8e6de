"""The plots of these tests go nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import pytest

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """Close the figures of a test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
