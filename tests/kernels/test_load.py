"""A kernel is found where there is one, and done without where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier, kernels
from ffnn.kernels import sparse_adam
from ffnn_plugins.inputs.sparse import SparseInput

ROOT = Path(__file__).parents[2]
X = scipy.sparse.random(80, 400, density=0.05, format="csr", random_state=0, dtype=np.float32)
Y = np.arange(80) % 2


def test_no_library_of_a_name_is_none():
    assert kernels.load("no_such_kernel") is None


def test_a_fit_goes_another_way_where_there_is_no_library(monkeypatch):
    steps = []
    for units in (8, 9):  # another width, as the program of the first one is kept
        layer = SparseInput("stored")
        fitted = MLPClassifier((units,), n_epochs=2, builder="tf", input_layer=layer, dtype="float32").fit(X, Y)
        steps.append(fitted.model_.describe()["runner"])
        monkeypatch.setattr(sparse_adam, "load", lambda name: None)
    assert steps == ["KernelRunner", "GraphRunner"]


def test_what_is_there_is_told(monkeypatch):
    names = ("sparse_adam", "sparse_products", "float32", "float64")
    assert re.fullmatch("kernels: " + ", ".join(rf"{name} \(for [^)]*\)" for name in names), kernels.describe())
    monkeypatch.setattr(kernels, "load", lambda name, folder: None)
    assert "Install a C compiler, then ffnn anew." in kernels.describe()


@pytest.fixture
def sources(tmp_path):
    """Return a copy of what the package is built from, without what was compiled here."""
    for name in ("ffnn", "ffnn_plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def built(sources, **environment):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (sources / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    return wheel.name, [name for name in names if name.endswith(".so")], done.stdout + done.stderr


@pytest.mark.slow
def test_a_wheel_brings_its_libraries_and_names_its_platform(sources):
    name, libraries, _ = built(sources, PATH="/usr/bin:/bin")
    assert {"ffnn/kernels/sparse_adam-0.so", "ffnn_plugins/builders/_native/float32-0.so"} <= set(libraries)
    assert sysconfig.get_platform().replace("-", "_").replace(".", "_") in name


def test_without_a_compiler_there_is_a_wheel_for_all(sources):
    name, libraries, said = built(sources, PATH="")
    assert (libraries, name.endswith("py3-none-any.whl")) == ([], True)
    assert "ffnn is built without sparse_adam-0.so" in said


def test_zigs_compiler_is_told_for_which_processors(sources):
    stub = sources / "stub" / "ziglang"
    stub.mkdir(parents=True)
    (stub / "__main__.py").write_text(
        f"import sys\nopen({str(sources / 'calls')!r}, 'a').write(' '.join(sys.argv) + '\\n')\nsys.exit(1)"
    )
    built(sources, PATH="", PYTHONPATH=str(stub.parent))
    calls = (sources / "calls").read_text().splitlines()
    assert len(calls) >= 4
    for call in calls:  # without, it compiles for the machine at hand
        assert ("-mcpu=baseline" if "-0.so" in call else "-mcpu=x86_64_v") in call
