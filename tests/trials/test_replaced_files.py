"""Saving over files, devices and pipes, and the leftovers of writers that were killed."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ffnn
from ffnn import MLPClassifier
from ffnn._utils import atomic_files as atomic


def save(path):
    ffnn.save(MLPClassifier(), path)


@pytest.fixture(scope="module")
def fitted():
    return MLPClassifier(hidden_units=(2,), n_epochs=1).fit([[0.0], [1.0]], [0, 1])


WRITER = """
import sys, time
from pathlib import Path
from ffnn._utils.atomic_files import replacing
import os
if sys.argv[2] == "between":
    move = os.replace
    def replace(source, place):
        if Path(place) == Path(sys.argv[1]):
            print("ready", flush=True)
            time.sleep(600)
        move(source, place)
    os.replace = replace
with replacing(Path(sys.argv[1])) as beside:
    if sys.argv[2] == "between":
        beside.mkdir()
        (beside / "part").write_text("new")
    else:
        beside.write_text("half")
        print("ready", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def writer():
    """Start a process that stops while it writes a file."""
    started = []

    def start(path, when="writing"):
        process = subprocess.Popen([sys.executable, "-c", WRITER, path, when], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def end(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


# --- what is replaced


def special(kind, tmp_path):
    path = tmp_path / "special"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "link":
        device = special("device", tmp_path)
        path.symlink_to(device if device != path else device.rename(tmp_path / "device"))
    elif os.geteuid() != 0:
        return Path("/dev/null")
    else:  # one of our own, as root could replace the machine's
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        except PermissionError:
            pytest.skip("no devices may be made here")
    return path


@pytest.mark.parametrize(
    ("kind", "name"),
    [("device", "a device"), ("link", "a device"), ("fifo", "a pipe"), ("socket", "a socket")],
)
def test_what_is_no_regular_file_is_refused_and_stays(kind, name, fitted, tmp_path):
    path = special(kind, tmp_path)
    before = os.lstat(path), os.stat(path)
    for write in (
        save,
        lambda path: ffnn.export(fitted, path, "onnx"),
        lambda path: ffnn.export(fitted, path, "savedmodel"),
    ):
        with pytest.raises(OSError, match=f"{path} is {name}; expected a regular file"):
            write(path)
    for one, other in zip(before, (os.lstat(path), os.stat(path)), strict=True):
        assert (one.st_mode, one.st_ino) == (other.st_mode, other.st_ino)


def test_a_pipe_that_standard_output_leads_to_is_refused():
    code = "import ffnn; ffnn.save(ffnn.MLPClassifier(), '/dev/stdout')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "OSError: /dev/stdout is a pipe; expected a regular file" in done.stderr


def test_a_device_is_not_loaded_and_a_pipe_is(tmp_path):
    with pytest.raises(OSError, match="/dev/zero is a device; expected a regular file"):
        ffnn.load("/dev/zero")
    save(tmp_path / "model")
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / "model").read_bytes()))
    thread.start()
    assert isinstance(ffnn.load(tmp_path / "pipe"), MLPClassifier)
    thread.join()


def test_links_are_followed_where_they_lead_somewhere(tmp_path):
    (tmp_path / "link").symlink_to("model")
    save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "model").is_file()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        save(tmp_path / "loop")
    assert (tmp_path / "loop").is_symlink()
    (tmp_path / "folder").symlink_to(tmp_path)
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        save(tmp_path / "folder")


# --- what is left of the dead


def test_the_next_save_removes_what_a_killed_writer_left(writer, tmp_path):
    end(writer(tmp_path / "model"))
    assert len(list(tmp_path.iterdir())) == 1
    save(tmp_path / "another")
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def test_what_a_living_writer_writes_stays(writer, tmp_path):
    process = writer(tmp_path / "model")
    (hidden,) = tmp_path.iterdir()
    save(tmp_path / "model")
    assert (hidden / "new" / "model").read_text() == "half"
    end(process)
    save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_was_about_to_be_replaced_comes_back(writer, fitted, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "part").write_text("old")
    end(writer(tmp_path / "model", "between"))
    assert not (tmp_path / "model").exists()
    save(tmp_path / "another")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "model"]
    assert (tmp_path / "model" / "part").read_text() == "old"


def test_what_is_not_surely_of_a_dead_writer_of_ones_own_stays(writer, tmp_path):
    end(writer(tmp_path / "model"))
    (left,) = tmp_path.iterdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    (tmp_path / (left.name + "a")).symlink_to("elsewhere")
    (tmp_path / ".ffnn-notes").write_text("mine")
    unlocked = tmp_path / (left.name + "b")
    unlocked.mkdir()
    (unlocked / "file").write_text("mine")
    other = left.rename(tmp_path / (".ffnn-00000000-" + "0" * 16))  # of another machine, whose locks are not seen here
    kept = {path.name for path in tmp_path.iterdir()} | {"one"}
    save(tmp_path / "one")
    assert {path.name for path in tmp_path.iterdir()} == kept
    os.utime(other, (time.time() - 2 * 86400,) * 2)
    if os.geteuid() == 0:  # another user's
        os.chown(other, 65534, 65534)
        save(tmp_path / "one")
        assert other.exists()
        os.chown(other, 0, 0)
    save(tmp_path / "one")
    assert {path.name for path in tmp_path.iterdir()} == kept - {other.name}
    assert (tmp_path / "elsewhere" / "mine").read_text() == "mine"


def test_writers_and_sweepers_at_once_lose_nothing(tmp_path):
    errors = []

    def write(name):
        try:
            for n in range(60):
                with atomic.replacing(tmp_path / name) as beside:
                    beside.write_text(str(n))
                assert (tmp_path / name).read_text() == str(n)
        except BaseException as error:
            errors.append(error)

    def sweep():
        while any(thread.is_alive() for thread in threads):
            atomic._sweep(tmp_path)

    threads = [threading.Thread(target=write, args=(f"model{i}",)) for i in range(3)]
    sweeper = threading.Thread(target=sweep)
    for thread in [*threads, sweeper]:
        thread.start()
    for thread in [*threads, sweeper]:
        thread.join(60)
    assert not errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model0", "model1", "model2"]
