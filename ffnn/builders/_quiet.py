"""Keeps what an engine prints as it starts, apart from errors, off standard error."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = ["has_gpu_driver", "quiet_start"]

#: What shows that NVIDIA's driver is loaded: on Linux, on Windows' subsystem for it, and on Jetson boards.
_DRIVER = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-ctrl")

# a process of its own reads what is printed: a thread could not run while the engine's C code holds Python's lock, and
# a message before a crash would be lost
_FILTER = """
import re, sys
dropped = re.compile(sys.argv[1].encode())
for line in sys.stdin.buffer:
    if not dropped.match(line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""
_PATIENCE = 2.0  # seconds for the last lines
_one_at_a_time = threading.Lock()


def has_gpu_driver() -> bool:
    """Return whether the driver of an NVIDIA GPU is loaded on this machine."""
    return any(Path(path).exists() for path in _DRIVER)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Drop the engine's remarks from file descriptor 2.

    TensorFlow applies ``TF_CPP_MIN_LOG_LEVEL`` to what it prints once it is loaded; this applies the same level to what
    it prints before. Where no GPU's driver is loaded, that no GPU was found is no error either. All other lines pass.
    """
    pattern = _dropped(os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0"))
    if not pattern or not _one_at_a_time.acquire(blocking=False):  # another thread's covers the whole process
        yield
        return
    try:
        with _filtered(pattern):
            yield
    finally:
        _one_at_a_time.release()


def _dropped(level: str) -> str:
    """Return the pattern of the lines that are below a level, empty for none."""
    if level not in ("1", "2", "3"):
        return ""
    letters = "IWE"[: int(level)]
    patterns = [
        "WARNING: All log messages before absl::InitializeLog",
        rf"[{letters}]\d{{4}} ",
        rf"\S+ \S+: [{letters}] ",
    ]
    if not has_gpu_driver():
        patterns.append("E.*(failed call to cuInit|Unable to register cu[A-Z]+ factory)")
    return "|".join(patterns)


@contextlib.contextmanager
def _filtered(pattern: str) -> Iterator[None]:
    """Send file descriptor 2 through a filter; do nothing if it is closed or no process can be started."""
    try:
        before = os.dup(2)
    except OSError:
        yield
        return
    try:
        command = [sys.executable, "-I", "-S", "-c", _FILTER, pattern]
        # in a session of its own, so that Ctrl-C does not end it
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=before, start_new_session=True)
    except OSError:
        os.close(before)
        yield
        return
    assert process.stdin is not None
    try:
        os.dup2(process.stdin.fileno(), 2)
        process.stdin.close()
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        with contextlib.suppress(subprocess.TimeoutExpired):  # a child of another thread may still print through it
            process.wait(_PATIENCE)
