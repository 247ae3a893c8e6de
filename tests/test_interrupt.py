"""Ctrl-C in the middle of a fit, for real."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, os, signal, sys, threading
import numpy as np
from sklearn.datasets import load_iris
from ffnn import MLPClassifier

X, y = load_iris(return_X_y=True)
n_signals, fitted_before = int(sys.argv[1]), sys.argv[2] == "fitted"
estimator = MLPClassifier((5,), n_epochs=2, random_state=0)
if fitted_before:
    estimator.fit(X, y)
before = estimator.coefs_[0] if fitted_before else None

def monitor(epoch, estimator, stats):
    if epoch == 3:
        for _ in range(n_signals):
            os.kill(os.getpid(), signal.SIGINT)

said = None
try:
    estimator.set_params(n_epochs=10).fit(X, y, monitor=monitor)
except KeyboardInterrupt as error:
    said = str(error)
whole = MLPClassifier((5,), n_epochs=4, random_state=0).fit(X, y)
fitted = hasattr(estimator, "classes_")
print(json.dumps({
    "said": said,
    "n_iter": estimator.n_iter_ if fitted else None,
    "four": fitted and bool(np.array_equal(estimator.coefs_[0], whole.coefs_[0])),
    "as_before": fitted and before is not None and bool(np.array_equal(estimator.coefs_[0], before)),
    "handler": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
}))
"""


def run(n_signals: int, before: str) -> tuple[dict[str, object], str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(n_signals), before], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout), done.stderr


def test_one_leaves_the_last_whole_epoch_and_says_so() -> None:
    found, stderr = run(1, "new")
    assert found["said"] == "interrupted after epoch 4 of 10; the estimator has the weights of that epoch"
    assert "finishing this epoch" in stderr
    assert (found["n_iter"], found["four"], found["handler"]) == (4, True, True)


@pytest.mark.parametrize("before", ["new", "fitted"])
def test_two_leave_the_estimator_as_it_was(before: str) -> None:
    found, _ = run(2, before)
    assert found["said"] == ""
    assert found["n_iter"] == (2 if before == "fitted" else None)
    assert found["as_before"] == (before == "fitted")
    assert found["handler"]
