"""The properties of a host, read with the standard library alone."""

from __future__ import annotations

import getpass
import glob
import os
import platform
import socket
import time
from typing import Any


def facts() -> dict[str, Any]:
    """Return the fields of :class:`ffnn.parallel.hosts.command.Facts`, except for the folder."""
    return {
        "hostname": socket.gethostname(),
        "user": _user(),
        "python": platform.python_version(),
        "pid": os.getpid(),
        "cpus": _cpus(),
        "memory": _memory(),
        "gpus": _gpus(),
        "time": time.time(),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except Exception:  # the password database lacks it; the exception depends on the version
        return str(os.getuid())


def _read_number(*paths: str) -> int | None:
    """Read the first of some files that holds a number."""
    for path in paths:
        try:
            with open(path) as file:
                return int(file.read().split()[0])
        except (OSError, ValueError, IndexError):
            continue
    return None


def _cpus() -> int:
    """Count the CPUs that this process may use: its affinity and its cgroup's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = (int(word) for word in file.read().split())
    except (OSError, ValueError):
        quota = _read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") or -1
        period = _read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us") or 1
    return min(count, max(1, -(-quota // period))) if quota > 0 else count


def _memory() -> int:
    """Count the bytes of memory: the machine's, or its cgroup's if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read_number("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    return min(physical, limit or physical)


def _gpus() -> list[str]:
    """List NVIDIA's GPUs as ``CUDA_VISIBLE_DEVICES`` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        found = [path for path in glob.glob("/dev/nvidia[0-9]*") if path[len("/dev/nvidia") :].isdigit()]
        return [str(index) for index in range(len(found))]  # CUDA counts the visible devices from 0
    names = [name.strip() for name in visible.split(",")]
    invalid = (index for index, name in enumerate(names) if name in ("", "-1"))
    return names[: next(invalid, len(names))]  # like CUDA, ignore everything after an invalid entry
