"""The kernels of the builder ``native`` read and write nothing but what is theirs, over odd shapes."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "ffnn_plugins/builders/_native"
OPTIONS = ["-std=gnu11", "-O1", "-g", "-fPIC", "-shared", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

#: Runs in a process whose memory the sanitizer watches, NumPy's arrays among it.
CODE = """
import ctypes, sys
import numpy as np
from ffnn import kernels
kernels.load = lambda name, folder=None: ctypes.CDLL(f"{sys.argv[1]}/{name}-{sys.argv[2]}.so")
from ffnn.model import Rows, State
from ffnn.solvers import SGD
from ffnn.testing._suite import OUTPUTS, make_problem
from ffnn_plugins.builders._native import model
from ffnn_plugins.inputs.scaled import ScaledInput
from ffnn_plugins.layers.gaussian_noise import GaussianNoise
from ffnn_plugins.layers.layer_norm import LayerNorm
from ffnn_plugins.layers.ntk_affine import NTKAffine
from ffnn_plugins.layers.prelu import PReLU

model._WORTH_THREADS, n_runs = 1, 0

def run(output="multiclass", batch_size=8, n_threads=1, weighted=False, **options):
    global n_runs
    n_runs += 1
    problem = make_problem(output, rate=0.3, **options)
    if weighted:  # the entries of multilabel targets
        problem.network.output.label_weights_ = np.ones((problem.network.n_outputs, 2))
        problem.targets = np.hstack([problem.targets, np.ones_like(problem.targets)])
    model._n_threads = lambda: n_threads
    made = model.NativeModel(problem.network, problem.solver)
    made.set_state(State(problem.initial_weights()))
    problem.weight[::3] = 0
    made.load(problem.x, problem.targets, problem.weight)
    assert np.isfinite(made.train_epoch(problem.plan(batch_size=batch_size, weight_decay=0.1)))
    assert np.isfinite(made.train_epoch(problem.plan(rows=[], batch_size=batch_size)))
    assert np.isfinite(made.loss_and_gradient(made.get_state().weights)[0])
    assert np.isfinite(made.forward(problem.x)).all()
    assert np.isfinite(made.input_gradient(problem.x)).all()
    if len(problem.network.hidden):
        made.forward(problem.x, 0)
    if not problem.network.input.sparse:
        assert made.forward(Rows((problem.x.arrays[0][:0],), 0)).shape[0] == 0

for dtype in ("float32", "float64"):
    for output in OUTPUTS:
        for units in ((), (1,), (257,), (3, 33)):
            run(output, hidden_units=units, dtype=dtype, n_features=5)
    run("multilabel", weighted=True, dtype=dtype)
    for n_rows in (4, 65, 300):
        for batch_size in (1, 64, 1000):
            run(n_rows=n_rows, batch_size=batch_size, n_features=70, dtype=dtype)
    run(sparse=True, n_features=90, dtype=dtype)
    run(sparse=True, n_features=1, hidden_units=(9, 1), dtype=dtype)
    for block in (
        ("dropout", NTKAffine(), "activation"), ("affine", PReLU()), ("affine", LayerNorm(), "activation"),
        (GaussianNoise(), "affine", "activation", "dropout"), ("dropout",), ("activation", "affine"),
    ):
        for activation in ("tanh", "mish", "selu", "relu"):
            run(block=block, activation=activation, hidden_units=(17, 17), input=ScaledInput(), dtype=dtype)
    for solver in ("sgd", SGD(0.0), "rmsprop", "adagrad", SGD(clip_norm=0.1)):
        run(solver=solver, hidden_units=(130,), n_threads=3, dtype=dtype)
print(n_runs)
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc, whose sanitizers these are")
def test_no_shape_leads_outside_of_memory(tmp_path):
    where = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(Path(path).is_absolute() for path in where):
        pytest.skip("gcc has no sanitizers here")
    level = 3 if platform.machine() == "x86_64" and "avx2" in cpu_flags() else 0
    march = ["-march=x86-64-v3"] if level else []

    def compiled(name):
        command = ["gcc", *OPTIONS, *march, f"{SOURCES}/{name}.c", "-o", f"{tmp_path}/{name}-{level}.so", "-lm"]
        subprocess.run(command, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compiled, ("float32", "float64")))
    environment = os.environ | {
        "LD_PRELOAD": " ".join(where),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own are many
        "PYTHONMALLOC": "malloc",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path), str(level)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert int(done.stdout) > 100


def cpu_flags():
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else ""
