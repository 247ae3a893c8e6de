"""Why TensorFlow uses none of a machine's GPUs, which it says in remarks that :mod:`ffnn.builders._quiet` drops."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from ffnn.builder import can_be_found

__all__ = ["gpu_failure"]

_COUNT = "import tensorflow as tf; print('gpus', len(tf.config.list_physical_devices('GPU')))"
_TELLING = re.compile(r"cuda|cudnn|cuinit|dlopen|gpu", re.IGNORECASE)
_PREFIX = re.compile(r"^\S+ \S+ +\S+ \S+\] |^\S+ \S+: [IWEF] \S+\] ")  # time, process, file and line
_MOST = 3  # remarks
_PATIENCE = 100.0  # seconds


def gpu_failure() -> str | None:
    """Return what TensorFlow says, in a process of its own, as it finds no GPU.

    Returns
    -------
    str or None
        Its last remarks; None if it finds a GPU, or is not installed.
    """
    if not can_be_found("tensorflow"):
        return None
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _COUNT],
            capture_output=True, text=True, errors="replace", env=environment, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    count = re.search(r"^gpus (\d+)$", done.stdout, re.MULTILINE)
    if count and int(count[1]):
        return None
    lines = [_PREFIX.sub("", line).strip() for line in done.stderr.splitlines()]
    telling = lines if count is None else [line for line in lines if _TELLING.search(line)]
    return "; ".join(list(dict.fromkeys(telling))[-_MOST:]) or "it says nothing of the reason"
