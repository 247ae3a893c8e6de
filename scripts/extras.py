"""Tries each extra alone, in a fresh environment with the wheel, by doing what it is for.

``python -m scripts.extras dist/ffnn-*x86_64.whl [NAME ...]``, or as a part of ``make release``. The hosts and the
containers are those of the tests, on this machine. If it lacks a program for them, that is said.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.environments import ROOT, fresh, run

_FIT = """
import json, os, sys
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
import ffnn
X, y = load_iris(return_X_y=True)
mlp = ffnn.MLPClassifier(hidden_units=(8,), n_epochs=20, random_state=0, builder="native")
options = json.loads(os.environ.get("FFNN_OPTIONS", "{}"))
"""
_SEARCH = """
alone = cross_val_score(mlp, X, y, cv=3)
with ffnn.pool({name!r}, progress=False, **options):
    assert (cross_val_score(mlp, X, y, cv=3) == alone).all()
"""
_DASK = """
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        options = {"address": cluster.scheduler_address}
"""
_ONNX = """
import numpy, onnx.reference
ffnn.export(mlp.fit(X, y), "model.onnx")
made = onnx.reference.ReferenceEvaluator("model.onnx")
(name,) = made.input_names
assert (made.run(None, {name: X})[0] == mlp.predict(X)).all()
"""
_PLOT = """
import matplotlib
matplotlib.use("Agg")
from sklearn.model_selection import GridSearchCV
ffnn.LossCurveDisplay.from_estimator(mlp.fit(X, y)).figure_.savefig("loss.png")
search = GridSearchCV(mlp, {"learning_rate": [1e-3, 1e-2]}, cv=3).fit(X, y)
ffnn.SearchDisplay.from_search(search).figure_.savefig("search.png")
"""
_OPTUNA = """
import subprocess, optuna
from sklearn.model_selection import GridSearchCV
with ffnn.pool("threads", progress=False, journal="run"):
    GridSearchCV(mlp, {"learning_rate": [1e-3, 1e-2]}, cv=3).fit(X, y)
subprocess.run([sys.executable, "-m", "ffnn", "journal", "export", "run", "--optuna", "run.log"], check=True)
storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("run.log"))
assert len(optuna.load_study(study_name="MLPClassifier 1", storage=storage).trials) == 2
"""
_MLFLOW = """
from mlflow import MlflowClient
from sklearn.model_selection import GridSearchCV
report = ffnn.callbacks.MLflowRuns("sqlite:///runs.db")
with ffnn.pool("threads", progress=False, report=report):
    GridSearchCV(mlp, {"learning_rate": [1e-3, 1e-2]}, cv=3).fit(X, y)
client = MlflowClient("sqlite:///runs.db")
assert len(client.search_runs([client.get_experiment_by_name("ffnn").experiment_id])) == 3
"""
_NOTEBOOK = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
cell = '''
from sklearn.datasets import load_iris
import ffnn
ffnn.MLPClassifier(n_epochs=2, verbose=True).fit(*load_iris(return_X_y=True))
'''
said = []
client.execute_interactive(cell, output_hook=said.append, timeout=120)
shown = [message["content"].get("data", {}) for message in said]
client.stop_channels()
manager.shutdown_kernel()
assert any("application/vnd.jupyter.widget-view+json" in data for data in shown), said  # the bar, as a widget
assert any("text/html" in data for data in shown), said
"""
_DOCS = """
import os, runpy, sys
sys.argv[1:] = ["build", "--strict", "--quiet", "--site-dir", os.path.abspath("site")]
os.chdir({root!r})
runpy.run_module("mkdocs", run_name="__main__")
"""
_DEV = """
import pathlib, subprocess
programs = pathlib.Path(sys.executable).parent
subprocess.run([programs / "ruff", "check", "."], cwd={root!r}, check=True)
subprocess.run([programs / "pytest", "-q", "tests/test_initializers.py"], cwd={root!r}, check=True)
for name in ("mypy", "towncrier", "pre-commit", "mkdocs"):
    subprocess.run([programs / name, "--version"], check=True)
"""


def _indented(code: str) -> str:
    return "".join(f"        {line}\n" for line in code.strip().splitlines())


#: What shows that an extra does what it is for.
CODE = {
    "ssh": _FIT + _SEARCH.format(name="ssh"),
    "container": _FIT + _SEARCH.format(name="container"),
    "dask": _FIT + _DASK + _indented(_SEARCH.format(name="dask")),
    "mlflow": _FIT + _MLFLOW,
    "onnx": _FIT + _ONNX,
    "optuna": _FIT + _OPTUNA,
    "plot": _FIT + _PLOT,
    "notebook": _NOTEBOOK,
    "docs": _DOCS.format(root=str(ROOT)),
    "dev": _FIT + _DEV.format(root=str(ROOT)),
}
CODE["all"] = (
    _FIT
    + _ONNX
    + _PLOT
    + 'import subprocess\nsubprocess.run([sys.executable, "-m", "ffnn", "plugins", "--check"], check=True)\n'
)


@contextmanager
def surroundings(name: str, python: Path) -> Iterator[dict[str, Any]]:
    """Start what an executor's options lead to, and return the options.

    Raises
    ------
    LookupError
        If the machine lacks a program for it.
    """
    if name not in ("ssh", "container"):
        yield {}
        return
    program = {"ssh": "/usr/sbin/sshd", "container": "podman"}[name]
    if shutil.which(program) is None:
        raise LookupError(f"there is no {program}")
    from tests.support.containers import Podman
    from tests.support.sshd import Network, network

    if name == "ssh":
        with network(Network, {"alpha": "127.0.0.2", "beta": "127.0.0.3"}) as hosts:
            yield {"hosts": ["alpha", "beta"], "config": str(hosts.config), "python": str(python)}
        return
    engine = Podman(Path(tempfile.mkdtemp(prefix="ffnn-podman-")))
    try:
        options = engine.options(python=str(python), n_workers=1)
        folder = str(python.parents[1])
        yield options | {"mounts": options["mounts"] | {folder: folder}}
    finally:
        engine.close()


def try_one(name: str, wheel: Path, python: str | Path = sys.executable) -> str:
    """Try an extra, and return what became of it."""
    scratch = Path(tempfile.mkdtemp(prefix=f"ffnn-extra-{name}-"))
    scratch.chmod(0o755)  # a container's user reads the environment
    try:
        made = fresh(scratch / "venv", python, f"ffnn[{name}] @ {wheel.resolve().as_uri()}")
        script = scratch / "script.py"
        script.write_text(CODE[name])
        with surroundings(name, made) as options:
            run(made, script, cwd=scratch, environment={"FFNN_OPTIONS": json.dumps(options)})
    except LookupError as error:
        return f"installs; not tried further: {error}"
    finally:
        shutil.rmtree(scratch)
    return "works"


def try_all(wheel: Path, names: list[str] | None = None) -> None:
    """Try each extra, and print what became of it."""
    for name in names or CODE:
        print(f"extra {name}: {try_one(name, wheel)}", flush=True)


if __name__ == "__main__":
    try_all(Path(sys.argv[1]), sys.argv[2:] or None)
