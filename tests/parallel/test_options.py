from __future__ import annotations

import numpy as np
import pytest

from ffnn.parallel.options import check_count, check_options, check_seconds


def test_counts() -> None:
    assert check_count("n", np.int64(3), 1) == 3
    with pytest.raises(ValueError, match=r"^n must be at least 1; got 0\. Pass n=1 or more\.$"):
        check_count("n", 0, 1)
    with pytest.raises(ValueError, match="n_workers must be at least 1; got -2.*one per CPU"):
        check_count("n_workers", -2, 1)
    with pytest.raises(TypeError, match=r"^n must be a whole number, at least 0; got '2' of type str\. Pass an"):
        check_count("n", "2", 0)


def test_seconds() -> None:
    assert check_seconds("t", 2) == 2.0
    for bad in (0, -1.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="t must be a positive number of seconds; got"):
            check_seconds("t", bad)
    for worse in (None, "1", True):
        with pytest.raises(TypeError, match="t must be a number of seconds; got .* of type"):
            check_seconds("t", worse)


def test_options() -> None:
    class Few:
        def __init__(self, n_workers: int = 1) -> None: ...

    class Many:
        def __init__(self, **options: int) -> None: ...

    check_options(Few, "few", {"n_workers": 1})
    check_options(Many, "many", {"anything": 1})
    with pytest.raises(TypeError, match=r"'few' has no option 'n_worker'\. Did you mean 'n_workers'\? Its options"):
        check_options(Few, "few", {"n_worker": 1})
