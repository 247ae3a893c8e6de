"""The check that a host has the same versions as this process, before the first task.

Equal scores need equal versions. :func:`check_versions` sends :mod:`ffnn.parallel.preflight.versions` to the Python
that would run the workers (ffnn may not be installed there), compares the answer with this process, and names the
command that makes both equal.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from ffnn.exceptions import HostError, VersionMismatchError
from ffnn.parallel.preflight import versions
from ffnn.parallel.preflight.compare import PYTHON, Difference, Report, check_ignore, differences, parse, public, report

__all__ = [
    "Difference",
    "Remedy",
    "Report",
    "Runner",
    "check_ignore",
    "check_report",
    "check_versions",
    "differences",
    "parse",
    "pip_remedy",
    "report",
]

_NEEDED = ("ffnn", "joblib", "numpy", "cloudpickle")  # without these no worker starts

Remedy = Callable[["Sequence[str]"], str]
"""Takes requirements, as pip does (``numpy==2.4.0``; ``python==3.13.*`` for Python), and returns the remedy."""


class Completed(Protocol):
    """The exit code and the output of a command."""

    @property
    def exit_code(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> str: ...


class Runner(Protocol):
    """The part of :class:`ffnn.parallel.hosts.host.Host` that the check needs."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as Host's

    def run(self, argv: Sequence[str], *, timeout: float = ...) -> Completed: ...  # noqa: D102 - as Host's


def check_versions(
    host: Runner,
    argv: Sequence[str],
    *,
    ignore: Collection[str] = (),
    remedy: Remedy | None = None,
    timeout: float = 60.0,
) -> Report:
    """Compare a host's versions with those of this process.

    Parameters
    ----------
    host : Host
        The host; its report is kept as its attribute ``report``, if it has one.
    argv : sequence of str
        The command that runs a Python there: ``["~/ffnn/bin/python"]``, or a container's command that ends in one.
    ignore : collection of str, default=()
        Names from ``NAMES`` whose versions may differ.
    remedy : callable, optional
        Returns the remedy for differences; :func:`pip_remedy` if not given.
    timeout : float, default=60.0
        Seconds for the answer.

    Returns
    -------
    Report
        The versions on the host.

    Raises
    ------
    VersionMismatchError
        If something differs that is not ignored.
    HostError
        If there is no such Python, or ffnn is not installed in it.
    """
    ignored = check_ignore(ignore, "ignore")
    remedy = remedy or functools.partial(pip_remedy, host.name, argv)
    completed = host.run([*argv, "-c", Path(versions.__file__).read_text(encoding="utf-8")], timeout=timeout)
    there = parse(completed.stdout)
    if there is None:
        raise _no_python(host, argv, completed, remedy)
    if hasattr(host, "report"):
        host.report = there
    check_report(host.name, there, argv, ignore=ignored, remedy=remedy)
    return there


def check_report(
    host: str,
    there: Report,
    argv: Sequence[str] = (),
    *,
    ignore: Collection[str] = (),
    remedy: Remedy | None = None,
) -> None:
    """Compare a host's report with this process.

    Parameters
    ----------
    host : str
        The host's name.
    there : Report
        Its report.
    argv : sequence of str, optional
        The command that runs its Python; the path in the report if not given.
    ignore : collection of str, default=()
        As :func:`check_ignore` returns it.
    remedy : callable, optional
        Returns the remedy for differences; :func:`pip_remedy` if not given.

    Raises
    ------
    VersionMismatchError
        If something differs that is not ignored.
    HostError
        If something is missing without which no worker starts.
    """
    argv = argv or [there.executable or "python3"]
    remedy = remedy or functools.partial(pip_remedy, host, argv)
    found = differences(report(), there)
    missing = [difference.name for difference in found if difference.there is None and difference.name in _NEEDED]
    wrong = [difference for difference in found if difference.name in missing or difference.name not in ignore]
    if not wrong:
        return
    listed = _list(wrong)
    advice = _advice(wrong, there, remedy)
    python = there.executable or argv[-1]
    if missing:
        raise HostError(
            f"host {host}: no worker can start with {python}, which lacks {', '.join(missing)}:\n{listed}\n{advice}",
            host,
        )
    names = [difference.name for difference in wrong]
    accept = "" if PYTHON in names else f"\nOr accept it: ignore_versions={names!r}."
    raise VersionMismatchError(
        f"host {host}: {python} would not give the same results as this machine:\n{listed}\n{advice}{accept}", host
    )


def pip_remedy(host: str, argv: Sequence[str], requirements: Sequence[str]) -> str:
    """Return the commands that install this machine's versions on a host.

    Parameters
    ----------
    host : str
        The host's name.
    argv : sequence of str
        The command that runs Python there.
    requirements : sequence of str
        The missing requirements; the first is ``python==3.13.*`` if another Python is needed.
    """
    packages = " ".join(shlex.quote(requirement) for requirement in requirements if not _is_python(requirement))
    if not _is_python(requirements[0]):
        return f"Run on {host}:\n  {' '.join(map(_quote, argv))} -m pip install {packages}"
    python = requirements[0].partition("==")[2].removesuffix(".*")
    folder = f"~/ffnn-{python}"
    return (
        f"Run on {host}:\n  python{python} -m venv {folder} && {folder}/bin/python -m pip install {packages}\n"
        f"and name that Python: python='{folder}/bin/python'."
    )


def _list(wrong: Sequence[Difference]) -> str:
    """Return one line per difference, and one for all missing packages."""
    lines = [f"  {difference}" for difference in wrong if difference.there]
    if missing := [difference.name for difference in wrong if not difference.there]:
        lines.append(f"  not installed there: {', '.join(missing)}")
    return "\n".join(lines)


def _advice(wrong: Sequence[Difference], there: Report, remedy: Remedy) -> str:
    """Return the commands that remove the differences: there, or here for packages that only the host has."""
    here = report()
    parts = []
    if PYTHON in [difference.name for difference in wrong] or there.managed:
        parts.append(remedy(_everything(here)))
    elif wanted := [_requirement(difference, there, here) for difference in wrong if difference.here]:
        parts.append(remedy(wanted))
    if more := [f"{d.name}=={public(d.there)}" for d in wrong if d.here is None]:
        parts.append(f"Run here:\n  {_quote(here.executable)} -m pip install {' '.join(more)}")
    return "\n".join(parts)


def _everything(here: Report) -> list[str]:
    """Return all requirements of a new environment."""
    packages = (Difference(name, version, None) for name, version in here.packages.items() if version)
    return [f"python=={here.language}.*", *(_requirement(package, here, here) for package in packages)]


def _requirement(difference: Difference, there: Report, here: Report) -> str:
    # a package installed there under another name (tensorflow-cpu) is replaced under that name
    names = there.distributions if difference.there else here.distributions
    return f"{names.get(difference.name, difference.name)}=={public(difference.here)}"


def _no_python(host: Runner, argv: Sequence[str], completed: Completed, remedy: Remedy) -> HostError:
    """Return the error for a Python that gave no report."""
    command = " ".join(argv)
    last = (completed.stderr.strip().splitlines() or [f"exit code {completed.exit_code}, no message"])[-1]
    if completed.exit_code in (126, 127):
        what = f"there is no Python that could be run as {command!r} ({last})"
    else:
        old = host.run([*argv, "--version"], timeout=30.0)
        version = (old.stdout.decode("utf-8", "replace") + old.stderr).strip()
        if old.exit_code == 0 and version.startswith("Python "):
            what = f"{command!r} is {version}, which could not say what is installed ({last})"
        else:
            what = f"{command!r} is not a working Python; it ended with exit code {completed.exit_code} ({last})"
    home = str(Path.home())
    if argv[-1].startswith(f"{home}/"):
        what += f"; if your shell put your home here in place of ~, write python='~{argv[-1][len(home) :]}', in quotes"
    advice = remedy(_everything(report()))
    return HostError(f"host {host.name}: {what}. This machine runs Python {report().python}.\n{advice}", host.name)


def _is_python(requirement: str) -> bool:
    return requirement.startswith("python==")


def _quote(word: str) -> str:
    """Quote a word for a shell, except for a leading ``~/``."""
    return f"~/{shlex.quote(word[2:])}" if word.startswith("~/") else shlex.quote(word)
