"""``ffnn doctor``, run as the user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ffnn.parallel.preflight.check import report
from tests.support.other_python import make_python

pytestmark = pytest.mark.timeout(120)

COMMAND = str(Path(sys.executable).with_name("ffnn"))
NEWER = "99.1.0"


def doctor(*arguments, path=None, **environment):
    variables = os.environ | ({"PYTHONPATH": str(path)} if path else {}) | {"COLUMNS": "200", **environment}
    return subprocess.run(
        [COMMAND, "doctor", *map(str, arguments)],
        capture_output=True, text=True, env=variables, check=False, timeout=100, encoding="utf-8",
    )  # fmt: skip


def table(text):
    """Return the first table: for each host its cells by their label."""
    first = text.split("\n\n")[0].splitlines()
    starts = [index for index, sign in enumerate(first[1]) if sign == "-" and first[1][:index][-1:] != "-"]
    rows = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in first]
    return {host: {row[0]: row[1 + index] for row in rows[2:]} for index, host in enumerate(rows[0][1:])}


STRANGER = """
import concurrent.futures, time
from ffnn.plugins import hookimpl

class Strange(concurrent.futures.ThreadPoolExecutor):
    def __init__(self, where: str = "here"):
        super().__init__(1)

class Broken(Strange):
    def submit(self, *args, **kwargs):
        raise RuntimeError("the cluster is on fire")

class Fails(Strange):
    def diagnose(self):
        raise OSError("no route to cluster")

class Empty(Strange):
    def diagnose(self):
        return []

class Slow(Empty):
    def diagnose(self):
        time.sleep(1.7)
        return []

@hookimpl
def ffnn_executors():
    return {name.lower(): "stranger:" + name for name in ("Strange", "Broken", "Fails", "Empty", "Slow")}
"""


@pytest.fixture
def stranger(install):
    return install("stranger", "any = stranger", stranger=STRANGER)


# --- this machine


def test_this_machine_is_looked_at_unless_another_executor_is_named():
    done = doctor("--n-workers", 1)
    assert (done.returncode, done.stderr) == (0, "looking at multiprocessing ...\n")
    columns = table(done.stdout)
    assert list(columns) == ["here", "localhost"]
    assert columns["here"]["Python"] == report().python
    assert columns["here"]["numpy"] == report().packages["numpy"]
    here = columns["localhost"]
    assert [here[name] for name in ("Python", "tensorflow", "numpy", "ffnn", "clock", "usable")] == ["ok"] * 5 + ["yes"]
    assert here["workers"] == "1"
    assert here["a worker starts"].endswith(" s")
    assert done.stdout.endswith("\nThe host can be used: 1 worker.\n")


@pytest.mark.slow
def test_a_gpu_that_tensorflow_does_not_find_is_told_in_its_words():
    done = doctor("--json", "--n-workers", 1, CUDA_VISIBLE_DEVICES="0")  # there is none
    (host,) = json.loads(done.stdout)["hosts"]
    (warning,) = [warning for warning in host["warnings"] if "TensorFlow" in warning]
    assert warning.startswith("it has 1 GPU, of which TensorFlow finds none: ")
    assert "cuda" in warning.lower().partition("finds none")[2].partition("install cuda")[0]
    assert "I0000" not in warning
    assert "tensorflow[and-cuda]" in warning
    assert done.returncode == 0  # its processors can be used


def test_programs_read_json():
    done = doctor("--json", "--n-workers", 1)
    data = json.loads(done.stdout)
    assert (data["executor"], data["usable"]) == ("multiprocessing", True)
    (host,) = data["hosts"]
    assert host["packages"] == data["here"]["packages"] == report().packages
    assert (host["n_workers"], host["error"], host["differences"]) == (1, None, [])
    assert abs(host["clock_skew"]) < 5


def test_a_terminal_without_unicode_gets_ascii():
    done = doctor("--n-workers", 1, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_in_a_terminal_the_time_is_shown_and_goes_away(stranger):
    reader, writer = pty.openpty()
    variables = os.environ | {"PYTHONPATH": str(stranger)}
    with os.fdopen(writer, "wb") as terminal:
        command = [COMMAND, "doctor", "--executor", "slow"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, env=variables, check=False, timeout=100)
    assert done.returncode == 1  # it has no hosts
    shown = os.read(reader, 1 << 16).decode()
    os.close(reader)
    assert shown.startswith("\rlooking at slow ... ")
    assert re.search(r"looking at slow ... \d s\r +\r$", shown)


# --- a command line that is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "keras"], "NAME must name an executor that is registered; got 'keras'."),
        (["--executor"], "expected the name of one executor; got (none)"),
        (["--executor", "a", "b"], "expected the name of one executor; got a b"),
        (["--n-worker", "2"], "the executor 'multiprocessing' has no option --n-worker. Did you mean --n-workers?"),
        (["--n-workers", "0"], "n_workers must be at least 1; got 0."),
        (["--n-workers", "two"], "n_workers must be a whole number, at least 1; got 'two'"),
        (["alpha"], "NAME must name an executor that is registered; got 'alpha'."),
        (["ssh", "alpha"], "'alpha' follows no option"),
        (["ssh", "--executor", "dask"], "expected the name of one executor; got ssh dask"),
        (["--json", "yes"], "--json takes no value; got 'yes'"),
        (["--executor", "ssh"], "the executor 'ssh' needs --hosts."),
        (["ssh"], "the executor 'ssh' needs --hosts."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_before_anything_starts(arguments, message):
    done = doctor(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    usage, *_ = lines = done.stderr.splitlines()
    assert usage.startswith("usage: ffnn doctor ")
    assert len(lines) == 2
    assert lines[1].startswith(f"ffnn doctor: error: {message}")


def test_help_shows_examples_and_the_options_of_an_executor():
    done = doctor("multiprocessing", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ffnn doctor ssh --hosts alpha user@beta:2222" in done.stdout
    assert "--threads-per-worker VALUE  (default: None)\n" in done.stdout
    assert "The options of" not in doctor("-h").stdout


# --- executors of others


def test_an_executor_that_knows_nothing_of_hosts_is_asked_to_run_a_task(stranger):
    done = doctor("strange", path=stranger)
    assert (done.returncode, done.stderr) == (0, "looking at strange ...\n")
    column = table(done.stdout)["strange"]
    assert (column["numpy"], column["clock"], column["usable"]) == ("ok", "ok", "yes")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "broken cannot be used:\n  RuntimeError: the cluster is on fire\n\nThe host cannot be used.\n"),
        ("fails", "fails cannot be used:\n  no route to cluster\n\nThe host cannot be used.\n"),
        ("empty", "The executor has no hosts.\n"),
    ],
)
def test_an_executor_that_fails_is_shown_with_its_words(stranger, name, message):
    done = doctor("--executor", name, path=stranger)
    assert done.returncode == 1
    assert done.stdout.endswith(f"\n\n{message}")
    assert "Traceback" not in done.stdout + done.stderr


# --- hosts that are reached by SSH


def test_one_host_that_fails_does_not_hide_the_others(ssh_network):
    done = doctor(
        *("--executor", "ssh", "--config", ssh_network.config, "--python", sys.executable),
        *("--hosts", "alpha", "nowhere.invalid", "beta", "--workers-per-host", "2"),
    )
    assert (done.returncode, done.stderr) == (1, "looking at alpha, nowhere.invalid, beta ...\n")
    columns = table(done.stdout)
    assert [columns[name]["usable"] for name in ("alpha", "nowhere.invalid", "beta")] == ["yes", "NO", "yes"]
    assert [columns[name]["reached"] == "no" for name in ("alpha", "nowhere.invalid", "beta")] == [False, True, False]
    assert columns["beta"]["scikit-learn"] == "ok"
    assert "nowhere.invalid cannot be used:\n" in done.stdout
    assert done.stdout.endswith("\n2 of 3 hosts can be used: 4 workers.\n")
    for host in ssh_network.hosts.values():
        host.wait_until_idle()


def test_a_host_with_other_versions_is_shown_with_the_remedy(ssh_network, tmp_path):
    python = make_python(tmp_path, numpy=NEWER, scipy=None)
    arguments = ["--executor", "ssh", "--config", ssh_network.config, "--python", python, "--hosts", "alpha"]
    done = doctor(*arguments)
    assert done.returncode == 1
    column = table(done.stdout)["alpha"]
    assert [column[name] for name in ("Python", "numpy", "scipy", "keras")] == ["ok", f"≠ {NEWER}", "missing", "ok"]
    assert [column[name] for name in ("clock", "a worker starts", "usable")] == ["ok", "–", "NO"]
    assert column["free disk"].endswith("GiB")
    packages = report().packages
    assert f"\n    {python} -m pip install numpy=={packages['numpy']} scipy=={packages['scipy']}\n" in done.stdout
    (host,) = json.loads(doctor(*arguments, "--json").stdout)["hosts"]
    assert (host["usable"], host["error_type"]) == (False, "VersionMismatchError")
    assert host["differences"] == ["numpy", "scipy"]
    ssh_network["alpha"].wait_until_idle()


def test_what_is_accepted_is_still_said(ssh_network, tmp_path):
    # a real environment that lacks nothing, and claims another version of one package
    python = make_python(tmp_path, everything=None, keras=NEWER)
    (site,) = tmp_path.glob("lib/*/site-packages")
    (own,) = {path for path in sys.path if path.endswith("site-packages")}
    (site / "ours.pth").write_text(f"{own}\n{Path(__file__).parents[2]}\n")
    done = doctor(
        *("--executor", "ssh", "--config", ssh_network.config, "--hosts", "alpha", "--python", python),
        *("--ignore-versions", "keras"),
    )
    assert table(done.stdout)["alpha"]["keras"] == f"≠ {NEWER}"
    assert "\nalpha: another keras than here, which is accepted: scores may differ.\n" in done.stdout
    assert done.returncode == 0


def test_many_hosts_make_several_tables(ssh_network):
    names = [f"no-{number}.invalid" for number in range(6)]
    done = doctor("--executor", "ssh", "--config", ssh_network.config, "--hosts", *names, COLUMNS="80")
    tables = done.stdout.split("\n\n")[:2]
    assert [len(table(part)) for part in tables] == [4, 4]
    assert max(len(line) for part in tables for line in part.splitlines()) <= 80
    assert done.stdout.endswith("\nNone of the 6 hosts can be used.\n")


def test_control_c_ends_it_at_once_and_leaves_nothing(tmp_path):
    with socket.socket() as silent:  # takes connections, and says nothing
        silent.bind(("127.0.0.4", 0))
        silent.listen()
        arguments = ["--executor", "ssh", "--hosts", f"127.0.0.4:{silent.getsockname()[1]}"]
        process = subprocess.Popen([COMMAND, "doctor", *arguments], stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()
        with connection:
            ssh = psutil.Process(process.pid).children(recursive=True)
            assert ssh
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - start < 10
    assert process.returncode == 130
    assert stderr.endswith("ffnn doctor: interrupted; nothing is left running\n")
    assert "Traceback" not in stderr
    _, left = psutil.wait_procs(ssh, timeout=10)  # a process that was killed may end a moment later
    with contextlib.suppress(psutil.NoSuchProcess):
        assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]


# --- containers


def test_an_image_is_looked_into(podman):
    options = podman.options()
    words = [
        *("--executor", "container", "--image", options["image"], "--n-workers", "1", "--memory", options["memory"]),
        *("--python", options["python"], *(f"--engine={word}" for word in options["engine"])),
        *("--mounts", *(f"{source}={target}" for source, target in options["mounts"].items())),
        *(f"--arguments={word}" for word in options["arguments"]),
    ]
    done = doctor(*words)
    assert (done.returncode, done.stderr) == (0, "looking at container ...\n"), done.stdout
    column = table(done.stdout)["localhost"]
    assert [column[name] for name in ("Python", "numpy", "ffnn", "usable")] == ["ok", "ok", "ok", "yes"]
    done = doctor(*words, "--image", "no-such-image")
    assert done.returncode == 2  # two images
    words[words.index("--image") + 1] = "no-such-image"
    done = doctor(*words)
    assert done.returncode == 1
    assert "there is no image 'no-such-image'" in done.stdout
    assert podman.containers() == []


def test_what_a_host_says_does_not_steer_the_terminal():
    from ffnn.doctor.table import as_text
    from ffnn.parallel.slots.diagnosis import Diagnosis, look_here

    here = Diagnosis("here", 0, **{key: value for key, value in look_here().items() if key != "time"})
    text = as_text([Diagnosis("al\x1b[2Jpha", 0, OSError("no\x07\nroute"))], here)
    assert r"al\x1b[2Jpha cannot be used:" in text
    assert "no\\x07\n  route" in text
    assert text.replace("\n", "").isprintable()
