"""Standard error: nothing that the user did not ask for, and every error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ffnn.builders._quiet import has_gpu_driver

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
FIT = """
import sys
import numpy as np
import ffnn
X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
mlp = ffnn.MLPClassifier((5,), n_epochs=2, builder=sys.argv[1], random_state=0).fit(X, y)
mlp.predict(X)
"""
SEARCH = (
    FIT
    + """
from sklearn.model_selection import GridSearchCV
with ffnn.pool("multiprocessing", n_workers=2, progress=False):
    GridSearchCV(mlp, {"n_epochs": [1, 2]}, cv=2).fit(X, y)
ffnn.export(mlp, sys.argv[2], format="savedmodel")
"""
)
without_gpu = pytest.mark.skipif(has_gpu_driver(), reason="a GPU's driver has its own to say")


def run(code, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name != LEVEL} | variables
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@without_gpu
@pytest.mark.slow
def test_a_fit_on_keras_prints_nothing():
    done = run(FIT, "keras")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@without_gpu
@pytest.mark.slow
def test_a_fit_a_search_on_workers_and_an_export_print_nothing(tmp_path):
    done = run(SEARCH, "tf", tmp_path / "model")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.slow
def test_what_the_user_has_asked_to_see_is_shown():
    done = run(FIT, "tf", **{LEVEL: "0"})
    assert done.returncode == 0
    assert "oneDNN custom operations are on" in done.stderr


#: Stands for an engine's start: what is printed by code below Python, and how the process ends.
START = """
import os, sys
from ffnn.builders._quiet import quiet_start
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
lines = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1796001954.472035   19024 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1796001954.472035   19024 util.cc:163] Not handling type DT_DOUBLE",
    "E0000 00:00:1796001962.133288   19073 gpu.cc:52] out of memory",
    "F0000 00:00:1796001962.133288   19073 cpu_feature_guard.cc:1] this processor lacks AVX",
    "an error of somebody else",
]
with quiet_start():
    os.write(2, "".join(line + "\\n" for line in lines).encode())
    os.write(2, b"x" * 1_000_000 + b"\\n")  # more than a pipe holds
    {then}
print("after", file=sys.stderr)
"""


def told(stderr):
    return [line[:5] for line in stderr.splitlines() if not line.startswith("xxx")]


def test_remarks_are_dropped_and_errors_pass():
    done = run(START.replace("{then}", "pass"))
    assert told(done.stderr) == ["E0000", "F0000", "an er", "after"]
    assert len(done.stderr) > 1_000_000


def test_the_last_words_of_a_crash_are_shown():
    done = run(START.replace("{then}", "os.abort()"))
    assert done.returncode == -signal.SIGABRT
    assert told(done.stderr)[:3] == ["E0000", "F0000", "an er"]


@pytest.mark.parametrize(("level", "first"), [("0", "WARNI"), ("1", "W0000"), ("3", "F0000")])
def test_the_users_level_is_applied(level, first):
    done = run(START.replace("{then}", "pass"), **{LEVEL: level})
    assert told(done.stderr)[0] == first


def test_a_closed_standard_error_is_no_obstacle():
    code = "import os; os.close(2)\nfrom ffnn.builders._quiet import quiet_start\nos.environ['" + LEVEL + "'] = '2'\n"
    done = run(code + "with quiet_start():\n    print('here')\n")
    assert (done.returncode, done.stdout) == (0, "here\n")
