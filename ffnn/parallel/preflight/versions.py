"""Prints the installed versions on which results depend: ``python -m ffnn.parallel.preflight.versions``.

This program uses only the standard library of Python 3.8 or later, so that it can be sent to a machine where nothing is
installed, and imports none of the packages. Its answer is one line, a marker and a JSON object, which can be found
among the output of shells and wrappers.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
import sysconfig
from typing import Any

MARKER = "ffnn-versions "
PACKAGES: dict[str, tuple[str, ...]] = {
    # the first installed name counts; all of these provide the package `tensorflow`
    "tensorflow": (
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-intel",
        "tensorflow-macos",
        "tensorflow-rocm",
        "tensorflow-cpu-aws",
        "tf-nightly",
        "tf-nightly-cpu",
    ),
    "keras": ("keras", "keras-nightly"),
    "scikit-learn": ("scikit-learn",),
    "joblib": ("joblib",),
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "cloudpickle": ("cloudpickle",),
    "ffnn": ("ffnn",),
}


def installed(names: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Return the first of these distributions that is installed and its version, or (None, None)."""
    for name in names:
        try:
            version = importlib.metadata.version(name)
        except Exception:  # not installed, or with damaged metadata, so that it cannot be relied on
            continue
        if version:
            return name, version
    return None, None


def in_source(module: str) -> str | None:
    """Return the version that a package's source states, if it is on the path without being installed."""
    try:
        found = importlib.util.find_spec(module)
        if found is None or not found.origin:
            return None
        separate = os.path.join(os.path.dirname(found.origin), "_version.py")
        with open(separate if os.path.exists(separate) else found.origin, encoding="utf-8") as file:
            match = re.search(r"^__version__ = [\"']([^\"']+)", file.read(), re.MULTILINE)
    except (ImportError, OSError, ValueError):
        return None
    return match.group(1) if match else None


def managed() -> bool:
    """Return whether this Python belongs to the system, so that pip refuses to install into it (PEP 668)."""
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return sys.prefix == sys.base_prefix and os.path.exists(marker)


def look() -> dict[str, Any]:
    """Return the report on this Python."""
    packages: dict[str, str | None] = {}
    distributions: dict[str, str] = {}
    for package, names in PACKAGES.items():
        name, version = installed(names)
        packages[package] = version
        if name is not None and name != package:
            distributions[package] = name
    if packages["ffnn"] is None:
        packages["ffnn"] = in_source("ffnn")
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "executable": sys.executable or "",
        "managed": managed(),
        "packages": packages,
        "distributions": distributions,
    }


def main() -> None:
    """Print the report as JSON."""
    # start a new line, whatever was printed before
    sys.stdout.write("\n" + MARKER + json.dumps(look(), sort_keys=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
