"""The machine and the versions of a measurement."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ["ffnn", "numpy", "scipy", "scikit-learn", "tensorflow", "keras", "scikeras", "skorch", "torch"]


def machine() -> dict[str, Any]:
    """Return the machine: its processor, cores, memory, system and load."""
    processor = platform.processor() or platform.machine()
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    memory = next((int(line.split()[1]) for line in meminfo.read_text().splitlines()), 0) if meminfo.exists() else 0
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory * 1024 / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Return the versions of all that was measured; "not installed" is one."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
