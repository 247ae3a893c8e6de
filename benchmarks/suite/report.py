"""The tables, made of what is stored and of nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.suite.contest import PEAK

Run = Mapping[str, Any]
MEANINGS = {
    "full": "medians of 3 rounds or more",
    "quick": "**quick**: one round, fewer epochs, most peers extrapolated; `make bench` measures properly",
    "tiny": "**tiny**: a test of the harness, not a measurement",
}


def duration(seconds: float) -> str:
    """Return a time with three digits."""
    if seconds < 0.1:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def number(value: float) -> str:
    """Return a figure with three digits, and no more zeros than it needs."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def heading(results: Mapping[str, Any]) -> str:
    """Return where, when and with what it was measured."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"{results['date']}, {results['minutes']:.0f} minutes; {MEANINGS[results['profile']]}.\n"
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:g} GB; {machine['system']}; "
        f"load at the start {machine['load_at_start']:g}.\n"
        f"{versions}.\n"
    )


def verdict(bar: Mapping[str, Any]) -> str:
    """Return a bar's figure and whether it was met, as two cells."""
    if bar["figure"] is None:
        reason = bar["reason"].replace("|", "/")
        return f"– | not measured: {reason}"
    return f"{number(bar['figure'])}{bar['unit']} | {'met' if bar['met'] else '**missed**'}"


def bars(works: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the bars."""
    lines = ["| | work | what | bar | figure | |", "| --- | --- | --- | --- | --- | --- |"]
    rows = [(bar["item"], work["title"], bar) for work in works for bar in work["bars"]]
    for item, title, bar in sorted(rows, key=lambda row: row[0]):
        limit = f"{'≥' if bar['at_least'] else '≤'} {bar['limit']:g}{bar['unit']}"
        lines.append(f"| {item} | {title} | {bar['text']} | {limit} | {verdict(bar)} |")
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    """Return a median, with what it lies between where there is more than one."""
    median = duration(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({duration(min(values))} to {duration(max(values))})"


def other_figures(runs: Sequence[Run]) -> str:
    """Return the medians of what is neither a time nor the peak memory, what was wrong, and how it was measured."""
    names = [name for name in runs[0]["figures"] if name != PEAK]
    parts = [f"{name} {number(statistics.median(run['figures'][name] for run in runs))}" for name in names]
    wrong = [check for run in runs for check in run["checks"] if not check["passed"]]
    parts += [
        f"**wrong: {check['name']} {number(check['value'])}, the limit is {check['limit']:g}**" for check in wrong
    ]
    return "; ".join([*dict.fromkeys(parts), *filter(None, [runs[0]["note"]])])


def contestant_rows(name: str, runs: Sequence[Run], reference: Mapping[str, float]) -> list[str]:
    """Return a contestant's rows, one for each of its times."""
    failed = [run["error"] for run in runs if "error" in run]
    if failed or not runs:
        return [f"| {name} | – | – | – | failed: {failed[0] if failed else 'not run'} |".replace("\n", " ")]
    peaks = [run["figures"][PEAK] for run in runs if PEAK in run["figures"]]
    peak = f"{statistics.median(peaks):,.0f} MB" if peaks else ""
    rest = other_figures(runs)
    about = "≈ " if "extrapolated" in runs[0]["note"] else ""
    rows = []
    for what in runs[0]["seconds"] or [""]:
        if not what:
            rows.append(f"| {name} | – | – | {peak} | {rest} |")
            continue
        values = [run["seconds"][what] for run in runs]
        ratio = f"{number(statistics.median(values) / reference[what])}" if what in reference else ""
        label = name if len(runs[0]["seconds"]) == 1 else f"{name}: {what}"
        rows.append(f"| {label} | {about}{spread(values)} | {ratio} | {peak} | {rest} |")
        peak = rest = ""
    return rows


def occasion(work: Mapping[str, Any]) -> str:
    """Return when and where a work was measured, and in how many rounds."""
    machine, n_rounds = work["machine"], max(map(len, work["runs"].values()))
    rounds = "1 round" if n_rounds == 1 else f"{n_rounds} rounds"
    return f"Measured on {work['date']} on {machine['processor']}, {machine['cores']} cores, in {rounds}."


def work_table(work: Mapping[str, Any], heading: Mapping[str, Any]) -> str:
    """Return the table of a work; where it was measured is said if it was not with the others."""
    lines = [f"### {work['title']}", ""]
    processor = heading["machine"]["processor"]
    if "machine" in work and (work["date"], work["machine"]["processor"]) != (heading["date"], processor):
        lines += [occasion(work), ""]
    if work["data"]:
        lines += [f"Data: {work['data']}.", ""]
    first = next(iter(work["runs"].values()))
    ran = [run for run in first if "error" not in run]
    names = ran[0]["seconds"] if ran else []
    reference = {name: statistics.median(run["seconds"][name] for run in ran) for name in names}
    lines += ["| | median (min to max) | × the first | peak memory | |", "| --- | --- | --- | --- | --- |"]
    for name, runs in work["runs"].items():
        lines += contestant_rows(name, runs, reference)
    return "\n".join(lines) + "\n"


def markdown(results: Mapping[str, Any]) -> str:
    """Return all of it: the machine, the bars, and the figures of each work."""
    works = results["works"]
    parts = [heading(results), bars(works), *[work_table(work, results) for work in works]]
    return "\n".join(parts)
