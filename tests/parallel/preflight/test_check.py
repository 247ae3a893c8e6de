"""Whether a host would compute what this machine does."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from ffnn.exceptions import HostError, VersionMismatchError
from ffnn.parallel.preflight.check import Difference, check_ignore, check_versions, differences, report
from tests.support.other_python import Here, make_python

HERE = report()
NEWER = "99.1.0"


def other(**changes):
    packages = changes.pop("packages", {})
    return dataclasses.replace(HERE, packages={**HERE.packages, **packages}, **changes)


# --- what counts as a difference


def test_equal_versions_do_not_differ():
    assert differences(HERE, other()) == []


def test_each_package_that_differs_is_named_with_both_versions():
    there = other(packages={"keras": NEWER, "scipy": None})
    assert differences(HERE, there) == [
        Difference("keras", HERE.packages["keras"], NEWER),
        Difference("scipy", HERE.packages["scipy"], None),
    ]


@pytest.mark.parametrize(
    ("python", "differs"), [("3.11.0", False), ("3.11.99", False), ("3.1.7", True), ("3.12.7", True), ("2.7.18", True)]
)
def test_the_first_two_numbers_of_pythons_version_count(python, differs):
    found = differences(other(python="3.11.7"), other(python=python))
    assert found == ([Difference("Python", "3.11.7", python)] if differs else [])


def test_another_interpreter_differs_and_is_named():
    (found,) = differences(HERE, other(implementation="PyPy"))
    assert str(found) == f"Python: {HERE.python} (PyPy) there, {HERE.python} (CPython) here"


@pytest.mark.parametrize(
    ("ours", "theirs", "differs"),
    [("2.4.1+cpu", "2.4.1", False), ("2.4.1+cpu", "2.4.1+cu126", False), ("2.4.1", "2.4.1.post1", True),
     ("2.4.1", "2.4.10", True), (None, None, False), (None, "2.4.1", True)],
)  # fmt: skip
def test_versions_are_equal_but_for_a_local_suffix(ours, theirs, differs):
    found = differences(other(packages={"keras": ours}), other(packages={"keras": theirs}))
    assert bool(found) == differs


# --- a host


def test_a_host_that_is_like_this_machine_passes(tmp_path):
    host = Here()
    found = check_versions(host, [str(make_python(tmp_path))])
    assert found.packages == HERE.packages
    assert host.report == found


def test_another_version_is_refused_with_both_and_the_command_that_makes_them_equal(tmp_path):
    python = make_python(tmp_path, numpy=NEWER, scikit_learn="0.1")
    host = Here()
    with pytest.raises(VersionMismatchError) as caught:
        check_versions(host, [str(python)])
    numpy, sklearn = HERE.packages["numpy"], HERE.packages["scikit-learn"]
    assert str(caught.value) == (
        f"host alpha: {python} would not give the same results as this machine:\n"
        f"  scikit-learn: 0.1 there, {sklearn} here\n"
        f"  numpy: {NEWER} there, {numpy} here\n"
        f"Run on alpha:\n"
        f"  {python} -m pip install scikit-learn=={sklearn} numpy=={numpy}\n"
        f"Or accept it: ignore_versions=['scikit-learn', 'numpy']."
    )
    assert caught.value.host == "alpha"
    assert host.report.packages["numpy"] == NEWER


def test_what_the_user_accepts_is_no_reason_to_refuse(tmp_path):
    python = str(make_python(tmp_path, numpy=NEWER, keras=NEWER))
    assert check_versions(Here(), [python], ignore=["numpy", "Keras"]).packages["numpy"] == NEWER
    with pytest.raises(VersionMismatchError, match=f"keras: {NEWER}") as caught:
        check_versions(Here(), [python], ignore=["numpy"])
    assert "numpy" not in str(caught.value)


def test_tensorflow_is_replaced_under_the_name_that_it_has_there(tmp_path):
    python = make_python(tmp_path, tensorflow=None, tensorflow_cpu="2.1.0")
    with pytest.raises(
        VersionMismatchError, match=rf"install tensorflow-cpu=={re.escape(HERE.packages['tensorflow'])}"
    ):
        check_versions(Here(), [str(python)])


def test_a_package_that_only_the_host_has_can_be_installed_here(tmp_path, monkeypatch):
    python = make_python(tmp_path, keras="3.9.9")
    less = other(packages={"keras": None})
    monkeypatch.setattr("ffnn.parallel.preflight.check.report", lambda: less)
    with pytest.raises(VersionMismatchError) as caught:
        check_versions(Here(), [str(python)])
    assert f"Run here:\n  {sys.executable} -m pip install keras==3.9.9\n" in str(caught.value)
    assert "Run on alpha" not in str(caught.value)


def test_another_python_needs_another_environment(tmp_path, monkeypatch):
    python = make_python(tmp_path)
    monkeypatch.setattr("ffnn.parallel.preflight.check.report", lambda: other(python="3.99.1"))
    with pytest.raises(VersionMismatchError) as caught:
        check_versions(Here(), [str(python)])
    message = str(caught.value)
    assert f"  Python: {HERE.python} there, 3.99.1 here\n" in message
    assert "  python3.99 -m venv ~/ffnn-3.99 && ~/ffnn-3.99/bin/python -m pip install " in message
    assert f"numpy=={HERE.packages['numpy']}" in message
    assert message.endswith("and name that Python: python='~/ffnn-3.99/bin/python'.")


# --- a host on which no worker could start


@pytest.mark.parametrize("package", ["ffnn", "joblib", "cloudpickle"])
def test_without_what_a_worker_needs_nothing_is_accepted(tmp_path, package):
    python = make_python(tmp_path, **{package: None})
    with pytest.raises(HostError) as caught:
        check_versions(Here(), [str(python)], ignore=[package])
    assert not isinstance(caught.value, VersionMismatchError)
    assert f"no worker can start with {python}, which lacks {package}:\n" in str(caught.value)
    assert f"{python} -m pip install {package}=={HERE.packages[package]}" in str(caught.value)


def test_an_empty_environment_is_told_all_it_needs(tmp_path):
    python = make_python(tmp_path, everything=None)
    with pytest.raises(HostError, match="which lacks joblib, numpy, cloudpickle, ffnn") as caught:
        check_versions(Here(), [str(python)])
    command = str(caught.value).splitlines()[-1]
    assert command.startswith(f"  {python} -m pip install ")
    wanted = {f"{name}=={version}" for name, version in HERE.packages.items()}
    assert set(command.split("install ")[1].split()) == wanted


def test_a_python_of_the_system_gets_an_environment(tmp_path):
    make_python(tmp_path, everything=None)
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys, sysconfig\nsys.base_prefix = sys.prefix\nsysconfig.get_path = lambda name: {str(tmp_path)!r}\n"
    )
    argv = ["env", f"PYTHONPATH={tmp_path}", str(tmp_path / "bin/python")]
    with pytest.raises(HostError, match="python3.* -m venv ~/ffnn-3"):
        check_versions(Here(), argv)


@pytest.mark.parametrize("command", ["/no/such/python", "/etc/passwd"])
def test_no_python_is_told_with_the_command_that_makes_one(command):
    with pytest.raises(HostError) as caught:
        check_versions(Here(), [command])
    assert str(caught.value).startswith(f"host alpha: there is no Python that could be run as '{command}' (cannot run ")
    assert f"python{HERE.language} -m venv ~/ffnn-{HERE.language} && " in str(caught.value)


def test_what_is_no_python_is_told_with_its_last_words():
    with pytest.raises(HostError, match="'false' is not a working Python; it ended with exit code 1"):
        check_versions(Here(), ["false"])


def test_a_python_that_is_too_old_is_told_with_its_version(tmp_path):
    old = tmp_path / "python"
    old.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo "Python 2.7.18" >&2; exit; fi\n'
        'echo "SyntaxError: future feature annotations is not defined" >&2\nexit 1\n'
    )
    old.chmod(0o755)
    with pytest.raises(HostError, match="is Python 2.7.18, which could not say what is installed .SyntaxError"):
        check_versions(Here(), [str(old)])


def test_a_shell_that_expanded_the_home_of_the_wrong_machine_is_suspected(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HostError, match="write python='~/ffnn/bin/python', in quotes"):
        check_versions(Here(), [f"{tmp_path}/ffnn/bin/python"])


# --- other places, other remedies


def test_an_image_has_a_remedy_of_its_own(tmp_path):
    asked = []

    def remedy(requirements):
        asked.extend(requirements)
        return "Build the image again."

    python = make_python(tmp_path, numpy=NEWER)
    with pytest.raises(VersionMismatchError, match="\nBuild the image again.\n"):
        check_versions(Here(), ["env", "-i", str(python)], remedy=remedy)
    assert asked == [f"numpy=={HERE.packages['numpy']}"]


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ("numpy", TypeError, "must be a list of names, for instance ['numpy']; got 'numpy'"),
        (1, TypeError, "must be a list of names"),
        ([1], ValueError, "got 1."),
        (["sklearn"], ValueError, "got 'sklearn'. Did you mean 'scikit-learn'?"),
        (["nunpy"], ValueError, "Did you mean 'numpy'?"),
    ],
)
def test_what_is_ignored_is_checked(bad, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        check_ignore(bad)
    assert str(caught.value).startswith("ignore_versions must ")
    host = Here()
    with pytest.raises(error, match="^ignore must "):
        check_versions(host, [sys.executable], ignore=bad)
    assert host.commands == []


def test_names_are_returned_as_they_are_written():
    assert check_ignore({"PYTHON"}) == ("Python",)
    assert check_ignore(()) == ()


def test_the_source_travels_and_no_file_of_ours_is_needed_there(tmp_path):
    host = Here()
    check_versions(host, [str(make_python(tmp_path))])
    ((_, flag, source),) = host.commands
    assert flag == "-c"
    assert source == (Path(__file__).parents[3] / "ffnn/parallel/preflight/versions.py").read_text()
