"""A forked child says at once that it cannot use the engine of its parent, and uses one that had only been imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import multiprocessing, os, signal, sys, time, warnings
import numpy as np
from joblib import Parallel, delayed
from ffnn import MLPClassifier
from ffnn.exceptions import ForkedEngineError

warnings.simplefilter("ignore")
X, y = np.random.default_rng(0).normal(size=(40, 3)).astype("float32"), np.arange(40) % 2

def fit(_=None):
    return MLPClassifier((3,), n_epochs=1, builder=sys.argv[1], random_state=0).fit(X, y).predict(X)

def said(function):
    # what a forked child says of a function, "ok", or "hangs"
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os.write(write, b"ok")
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    timer = time.monotonic()
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(0.02)
        if time.monotonic() - timer > 45:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hangs"
    return os.read(read, 10_000).decode()

import tensorflow
if sys.argv[1] == "keras":
    import keras
print("imported:", said(fit))
fitted = MLPClassifier((3,), n_epochs=1, builder=sys.argv[1], random_state=0).fit(X, y)
for name in ("fit", "predict", "coefs", "pickle"):
    calls = {"fit": fit, "predict": lambda: fitted.predict(X), "coefs": lambda: fitted.coefs_,
             "pickle": lambda: __import__("pickle").dumps(fitted)}
    print(f"{name}:", said(calls[name]))
try:
    Parallel(2, backend="multiprocessing")(delayed(fit)(i) for i in range(2))
except ForkedEngineError as error:
    print("joblib:", "ForkedEngineError:", error)
print("parent:", np.array_equal(fitted.predict(X), fit()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_a_forked_child_says_that_the_engine_is_lost(builder):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, builder], capture_output=True, text=True, timeout=280, check=False
    )
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert lines["imported"] == "ok", done.stderr[-2000:]
    for name in ("fit", "predict", "coefs", "pickle", "joblib"):
        assert lines[name].startswith("ForkedEngineError: This process was forked from one in which tensorflow had run")
        assert "loky" in lines[name]
        assert "ffnn.pool()" in lines[name]
    assert lines["parent"] == "True"
