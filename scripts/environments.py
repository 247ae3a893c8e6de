"""Fresh virtual environments for the scripts that try releases, made by uv from its cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["ROOT", "UV", "fresh", "interpreter", "run"]

ROOT = Path(__file__).resolve().parents[1]
UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed, errors included.

    Raises
    ------
    SystemExit
        If it fails, with the end of what it printed.
    """
    words = [str(word) for word in command]
    # nothing of this checkout, and nothing of the user's, is to be found by accident
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        words,
        cwd=cwd,
        env=variables | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        shown = " ".join(word if len(word) < 200 else "…" for word in words)
        raise SystemExit(f"{shown}\nended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def fresh(folder: Path, python: str | Path, *requirements: str) -> Path:
    """Make an environment with the requirements alone; return its Python."""
    run(UV, "venv", "--quiet", "--clear", "--no-project", "--python", python, folder)
    made = folder / "bin" / "python"
    if requirements:
        run(UV, "pip", "install", "--quiet", "--python", made, *requirements)
    return made


def interpreter(version: str) -> str | None:
    """Return a Python of a version such as ``"3.12"``, installed or brought by uv; None if there is none."""
    return next((path for path in _candidates(version) if _is(path, version)), None)


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    yield from filter(None, [shutil.which(f"python{version}")])
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))
    command = [UV, "python", "find", "--quiet", "--no-project", version]
    if subprocess.run([UV, "python", "install", "--quiet", version], capture_output=True, check=False).returncode == 0:
        yield subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _is(python: str, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == version
