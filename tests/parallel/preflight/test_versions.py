"""The program that says what a Python has installed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ffnn.parallel.preflight import versions
from ffnn.parallel.preflight.compare import parse
from tests.support.other_python import make_python

SOURCE = Path(versions.__file__).read_text()


def ask(python, *before):
    command = [str(python), "-c", SOURCE]
    done = subprocess.run([*before, *command], capture_output=True, check=True, cwd="/", timeout=60)
    assert done.stderr == b""
    return parse(done.stdout)


def test_it_names_the_versions_that_are_installed():
    done = subprocess.run(
        [sys.executable, "-m", "ffnn.parallel.preflight.versions"], capture_output=True, check=True, timeout=60
    )
    report = parse(done.stdout)
    assert report.packages == {name: version(name) for name in versions.PACKAGES}
    assert report.python == ".".join(map(str, sys.version_info[:3]))
    assert report.executable == sys.executable


def test_it_answers_in_one_line_of_json_after_a_marker():
    done = subprocess.run([sys.executable, "-c", SOURCE], capture_output=True, text=True, check=True, timeout=60)
    (line,) = done.stdout.split("\n")[1:-1]
    assert line.startswith(versions.MARKER)
    assert json.loads(line.removeprefix(versions.MARKER))["packages"]["numpy"] == version("numpy")


def test_it_imports_none_of_what_it_reports():
    code = (
        f"{SOURCE}\nprint(sorted({{'tensorflow', 'keras', 'sklearn', 'joblib', 'numpy', 'ffnn'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_it_runs_where_nothing_is_installed(tmp_path):
    report = ask(make_python(tmp_path, everything=None))
    assert set(report.packages.values()) == {None}
    assert report.executable == str(tmp_path / "bin/python")


@pytest.mark.parametrize("name", ["tensorflow-cpu", "tensorflow-intel", "tf-nightly"])
def test_tensorflow_is_found_under_its_other_names(tmp_path, name):
    report = ask(make_python(tmp_path, everything=None, **{name: "2.20.0"}))
    assert report.packages["tensorflow"] == "2.20.0"
    assert report.distributions == {"tensorflow": name}


def test_a_package_whose_metadata_is_damaged_counts_as_missing(tmp_path):
    python = make_python(tmp_path, everything=None, numpy="2.0.0", scipy="1.15.0")
    (metadata,) = tmp_path.glob("lib/*/site-packages/numpy-*/METADATA")
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\n")
    report = ask(python)
    assert (report.packages["numpy"], report.packages["scipy"]) == (None, "1.15.0")


def test_ffnn_is_found_on_the_path_without_being_installed(tmp_path):
    python = make_python(tmp_path, everything=None)
    assert ask(python).packages["ffnn"] is None
    (package,) = tmp_path.glob("lib/*/site-packages")
    (package / "ffnn").mkdir()
    (package / "ffnn/__init__.py").write_text('"""A copy."""\n\n__version__ = "0.0.7"\nraise RuntimeError\n')
    assert ask(python).packages["ffnn"] == "0.0.7"
    (package / "ffnn/_version.py").write_text('__version__ = "0.0.8"\n')
    assert ask(python).packages["ffnn"] == "0.0.8"


def test_any_python_from_3_8_on_can_read_it():
    ast.parse(SOURCE, feature_version=(3, 8))
    standard = {"__future__", "importlib", "json", "os", "platform", "re", "sys", "sysconfig", "typing"}
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= standard


def test_other_output_around_the_answer_does_no_harm():
    noise = 'printf "Welcome to alpha\\nffnn-versions {half a line"; "$@"; echo "logout, last line"'
    report = ask(sys.executable, "sh", "-c", noise, "sh")
    assert report.packages["numpy"] == version("numpy")


@pytest.mark.parametrize("output", [b"", b"\xff\xfe\n", b"ffnn-versions {}\n", b"ffnn-versions [1]\nffnn-versions {\n"])
def test_no_answer_is_none(output):
    assert parse(output) is None
