"""Formats diagnoses of hosts as a table and as JSON."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from ffnn.exceptions import FfnnError, WorkerDiedError, WorkerStartError
from ffnn.parallel.preflight.compare import PYTHON, Difference, Report, differences
from ffnn.parallel.slots.diagnosis import Diagnosis

__all__ = ["as_data", "as_text"]

_UNKNOWN = "–"


def as_text(found: Sequence[Diagnosis], here: Diagnosis) -> str:
    """Return a table with a column per host, and below it a remedy for each problem."""
    assert here.report is not None
    columns = [_here(here), *(_column(diagnosis, here.report) for diagnosis in found)]
    labels = ["", "reached", *_compared(here.report), "CPUs", "memory", "free disk", "clock", "GPUs"]
    labels += ["workers", "a worker starts", "usable"]
    parts = [*_tables(labels, columns), *_problems(found, here.report), _conclusion(found)]
    return _encodable("\n\n".join(parts))


def as_data(found: Sequence[Diagnosis], here: Diagnosis, executor: str) -> dict[str, Any]:
    """Return the same as data for JSON."""
    assert here.report is not None
    return {
        "executor": executor,
        "usable": _all_usable(found),
        "here": _data(here, here.report),
        "hosts": [_data(diagnosis, here.report) for diagnosis in found],
    }


def _data(found: Diagnosis, here: Report) -> dict[str, Any]:
    different = differences(here, found.report) if found.report else []
    return {
        "host": found.host,
        "usable": found.usable,
        "error": None if found.error is None else str(found.error),
        "error_type": None if found.error is None else type(found.error).__name__,
        "warnings": _warnings(found, here),
        "n_workers": found.n_workers,
        "connect_seconds": found.seconds,
        "worker_seconds": found.worker_seconds,
        "python": found.report and found.report.python,
        "executable": found.report and found.report.executable,
        "machine": found.report and found.report.machine,
        "packages": found.report and dict(found.report.packages),
        "differences": [difference.name for difference in different],
        "cpus": found.cpus,
        "memory": found.memory,
        "free_disk": found.disk,
        "clock_skew": found.skew,
        "gpus": None if found.gpus is None else list(found.gpus),
    }


# --- the columns


def _compared(here: Report) -> list[str]:
    return [PYTHON, *here.packages]


def _here(here: Diagnosis) -> list[str]:
    assert here.report is not None
    versions = [here.report.python, *(version or "missing" for version in here.report.packages.values())]
    return ["here", "", *versions, *_resources(here), "", "", ""]


def _column(found: Diagnosis, here: Report) -> list[str]:
    reached = "no" if found.seconds is None else f"{found.seconds:.1f} s"
    return [
        found.host,
        reached,
        *_versions(found.report, here),
        *_resources(found),
        str(found.n_workers),
        _start(found),
        "yes" if found.usable else "NO",
    ]


def _start(found: Diagnosis) -> str:
    if found.worker_seconds is not None:
        return f"{found.worker_seconds:.1f} s"
    return "no" if isinstance(found.error, WorkerStartError | WorkerDiedError) else _UNKNOWN


def _versions(there: Report | None, here: Report) -> list[str]:
    if there is None:
        return [_UNKNOWN] * (1 + len(here.packages))
    different = {difference.name: difference for difference in differences(here, there)}
    python = "ok" if there.python == here.python else f"ok ({there.python})"
    return [
        _cell(different.get(PYTHON), python),
        *(_cell(different.get(name), "ok" if here.packages[name] else "missing") for name in here.packages),
    ]


def _cell(difference: Difference | None, equal: str) -> str:
    if difference is None:
        return equal
    return "missing" if difference.there is None else f"≠ {difference.there}"


def _resources(found: Diagnosis) -> list[str]:
    def known(value: Any, write: Callable[[Any], str]) -> str:
        return _UNKNOWN if value is None else write(value)

    return [
        known(found.cpus, str),
        known(found.memory, _bytes),
        known(found.disk, _bytes),
        ""
        if found.host == "here"
        else known(found.skew, lambda skew: f"{round(skew):+d} s" if abs(skew) >= 2 else "ok"),
        known(found.gpus, lambda gpus: str(len(gpus))),
    ]


def _bytes(count: int) -> str:
    gib = count / 2**30
    return f"{gib:.0f} GiB" if gib >= 10 else f"{gib:.1f} GiB"


# --- the text


def _tables(labels: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """Format the table, in several parts if it is wider than the terminal."""
    width = shutil.get_terminal_size((120, 24)).columns
    first = [labels, columns[0]]
    parts, part, used = [], [*first], _width(*first)
    for column in columns[1:]:
        if used + _width(column) > width and len(part) > len(first):
            parts.append(part)
            part, used = [*first], _width(*first)
        part.append(column)
        used += _width(column)
    return [_table(part) for part in [*parts, part]]


def _width(*columns: Sequence[str]) -> int:
    return sum(max(map(len, column)) + 2 for column in columns)


def _table(columns: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _problems(found: Sequence[Diagnosis], here: Report) -> list[str]:
    parts = []
    for diagnosis in found:
        if diagnosis.error is not None:
            error = diagnosis.error
            text = str(error) or "(no message)"
            text = text.removeprefix(f"host {diagnosis.host}: ")
            if not isinstance(error, FfnnError | OSError):
                text = f"{type(error).__name__}: {text}"
            parts.append(f"{diagnosis.host} cannot be used:\n{textwrap.indent(text, '  ')}")
        for warning in _warnings(diagnosis, here):
            parts.append(textwrap.fill(f"{diagnosis.host}: {warning}", 100, subsequent_indent="  "))
    return parts


def _warnings(found: Diagnosis, here: Report) -> list[str]:
    warnings = found.warnings()
    if found.usable and found.report is not None and (accepted := differences(here, found.report)):
        names = ", ".join(difference.name for difference in accepted)
        warnings.append(f"another {names} than here, which is accepted: scores may differ.")
    return warnings


def _conclusion(found: Sequence[Diagnosis]) -> str:
    usable = [diagnosis for diagnosis in found if diagnosis.usable]
    n_workers = sum(diagnosis.n_workers for diagnosis in usable)
    workers = f"{n_workers} worker{'' if n_workers == 1 else 's'}"
    if not found:
        return "The executor has no hosts."
    if len(found) == 1:
        return f"The host can be used: {workers}." if usable else "The host cannot be used."
    if not usable:
        return f"None of the {len(found)} hosts can be used."
    return f"{'All' if _all_usable(found) else len(usable)} of {len(found)} hosts can be used: {workers}."


def _all_usable(found: Sequence[Diagnosis]) -> bool:
    return bool(found) and all(diagnosis.usable for diagnosis in found)


def _encodable(text: str) -> str:
    """Replace characters that the terminal cannot show by ASCII, and control characters by escapes."""
    # the names and messages of hosts are untrusted
    text = "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        return text.replace("≠", "!=").replace("–", "-").encode("ascii", "replace").decode()
    return text
