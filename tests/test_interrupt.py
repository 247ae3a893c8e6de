"""Ctrl-C in the middle of a fit, for real; all of them in one process, which imports the engine once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import io, json, os, signal, sys
import numpy as np
from sklearn.datasets import load_iris
from ffnn import MLPClassifier

X, y = load_iris(return_X_y=True)

def interrupted(n_signals, fitted_before):
    estimator = MLPClassifier((5,), n_epochs=2, random_state=0)
    if fitted_before:
        estimator.fit(X, y)
    before = estimator.coefs_[0] if fitted_before else None

    def monitor(epoch, estimator, stats):
        if epoch == 3:
            for _ in range(n_signals):
                os.kill(os.getpid(), signal.SIGINT)

    said, sys.stderr = None, io.StringIO()
    try:
        estimator.set_params(n_epochs=10).fit(X, y, monitor=monitor)
    except KeyboardInterrupt as error:
        said = str(error)
    finally:
        printed, sys.stderr = sys.stderr.getvalue(), sys.__stderr__
    whole = MLPClassifier((5,), n_epochs=4, random_state=0).fit(X, y)
    fitted = hasattr(estimator, "classes_")
    return {
        "said": said,
        "printed": printed,
        "n_iter": estimator.n_iter_ if fitted else None,
        "four": fitted and bool(np.array_equal(estimator.coefs_[0], whole.coefs_[0])),
        "as_before": fitted and before is not None and bool(np.array_equal(estimator.coefs_[0], before)),
        "handler": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    }

print(json.dumps({"one": interrupted(1, False), "two": interrupted(2, False), "two, fitted": interrupted(2, True)}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def test_one_leaves_the_last_whole_epoch_and_says_so(found: dict[str, dict[str, object]]) -> None:
    one = found["one"]
    assert one["said"] == "interrupted after epoch 4 of 10; the estimator has the weights of that epoch"
    assert "finishing this epoch" in str(one["printed"])
    assert (one["n_iter"], one["four"], one["handler"]) == (4, True, True)


def test_two_leave_the_estimator_as_it_was(found: dict[str, dict[str, object]]) -> None:
    for name, fitted_before in (("two", False), ("two, fitted", True)):
        two = found[name]
        assert two["said"] == "", name
        assert two["n_iter"] == (2 if fitted_before else None), name
        assert two["as_before"] == fitted_before, name
        assert two["handler"], name


LONG_EPOCH = """
import os, signal, threading, time
import numpy as np
from ffnn import MLPClassifier

rng = np.random.default_rng(0)
X, y = rng.normal(size=(30_000, 300)).astype(np.float32), rng.integers(0, 2, 30_000)
estimator = MLPClassifier((2000, 2000), builder="native", n_epochs=1, random_state=0)
ended = threading.Event()

def press():
    while not ended.wait(0.5):
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press).start()
try:
    estimator.fit(X, y)
except KeyboardInterrupt:
    ended.set()
    print("as before" if not hasattr(estimator, "classes_") else "fitted")
ended.set()
"""


def test_two_in_a_long_epoch_of_the_native_builder_end_it_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", LONG_EPOCH], capture_output=True, text=True, timeout=120)
    assert done.stdout == "as before\n", done.stderr
