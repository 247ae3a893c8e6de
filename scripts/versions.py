"""Runs the tests with other versions of the libraries: ``make oldest``, ``make next``.

``oldest`` takes the lowest version of each library that pyproject.toml allows, ``next`` the newest, pre-releases
included. Each makes an environment of its own, ``.venv-oldest`` or ``.venv-next``, anew. Further
arguments are those of pytest; without any, the tests that are not marked slow run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.environments import ROOT, UV, fresh, run

#: For each kind, how uv resolves the requirements.
KINDS = {"oldest": ("--resolution", "lowest-direct"), "next": ("--upgrade", "--prerelease", "allow")}
#: What ffnn stands on most, whose versions are shown.
SHOWN = ("scikit-learn", "joblib", "keras", "keras-nightly", "tensorflow", "numpy", "scipy")


def environment(kind: str) -> Path:
    """Make the environment of a kind; return its Python."""
    folder = ROOT / f".venv-{kind}"
    python = fresh(folder, sys.executable)
    run(UV, "pip", "install", "--quiet", "--python", python, "--editable", ".[test]", *KINDS[kind])
    return python


def main() -> int:
    """Make the environment, say what is in it, run the tests; return pytest's exit status."""
    kind, *arguments = sys.argv[1:] or [""]
    if kind not in KINDS:
        print(f"usage: python -m scripts.versions {{{','.join(KINDS)}}} [pytest's arguments]", file=sys.stderr)
        return 2
    python = environment(kind)
    installed = run(UV, "pip", "freeze", "--quiet", "--python", python).splitlines()
    shown = [line for line in installed if line.partition("==")[0] in SHOWN]
    print(f"{kind}:", ", ".join(shown), flush=True)
    chosen = arguments or ["-n", "2", "--dist", "worksteal", "-m", "not slow", "-q"]
    return subprocess.run([python, "-m", "pytest", "-p", "no:cacheprovider", *chosen], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
