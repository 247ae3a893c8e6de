from __future__ import annotations

import subprocess
import sys

import pytest

from ffnn.builders._cache import BoundedCache


def test_the_values_that_were_used_last_are_kept() -> None:
    cache: BoundedCache[int] = BoundedCache(2)
    for key in (1, 2, 1, 3):
        assert cache.get(key, lambda key=key: key) == key
    made = []
    for key in (1, 3, 2):
        cache.get(key, lambda key=key: made.append(key) or key)  # type: ignore[func-returns-value]
    assert made == [2]


def test_half_of_the_values_are_dropped_where_to_free_them_takes_a_while() -> None:
    freed = []
    cache: BoundedCache[int] = BoundedCache(4, lambda: freed.append(1))
    for key in range(5):
        cache.get(key, lambda key=key: key)
    assert freed == [1]
    made = []
    for key in (4, 3, 0):
        cache.get(key, lambda key=key: made.append(key) or key)  # type: ignore[func-returns-value]
    assert made == [0]
    assert freed == [1]


MANY = """
import gc
import numpy as np
from ffnn import MLPClassifier

def fit(units):
    MLPClassifier((units,), n_epochs=2, builder="tf", random_state=0).fit(X, y).predict(X)

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

X, y = np.random.default_rng(0).normal(size=(200, 30)).astype(np.float32), np.arange(200) % 3
for units in range(2, 9):
    fit(units)
before = resident()
for units in range(10, 22):
    fit(units)
print((resident() - before) / 1e6)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_networks_of_many_architectures_do_not_fill_the_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 20  # it was 3.5 MB for each of the twelve
