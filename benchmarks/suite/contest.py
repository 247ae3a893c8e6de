"""The works that are measured, their contestants, and the bars for their figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Size = Mapping[str, Any]
PEAK = "peak MB"
ANONYMOUS = "anonymous memory at most MB"


@dataclass(frozen=True)
class Check:
    """Whether what was timed is also right: a value, and the least or the most that it may be."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Measurement:
    """The report of one process of a contestant.

    Parameters
    ----------
    seconds : dict
        Times by name; the first is what the contestants of a work are compared by.
    figures : dict
        Other figures by name, ``PEAK`` among them.
    checks : list of Check
        What was found right or wrong.
    note : str
        How it differs from the plain thing, for instance "extrapolated from 5 steps".
    """

    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        checks = [asdict(check) | {"passed": check.passed} for check in self.checks]
        return {"seconds": self.seconds, "figures": self.figures, "checks": checks, "note": self.note}


class NotMeasured(Exception):
    """A figure that a bar needs is not there; the message says why."""


class Results:
    """The runs of a work, by contestant, as they are stored."""

    def __init__(self, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.runs = runs

    def values(self, contestant: str, name: str) -> list[float]:
        """Return a figure or a time, round by round.

        Raises
        ------
        NotMeasured
            If a round failed, was wrong, or did not measure that.
        """
        found = []
        for run in self.runs.get(contestant, []):
            if "error" in run:
                raise NotMeasured(f"{contestant}: {run['error']}")
            wrong = [check["name"] for check in run["checks"] if not check["passed"]]
            if wrong:
                raise NotMeasured(f"{contestant}: its check failed ({', '.join(wrong)})")
            measured = run["seconds"] | run["figures"]
            if name not in measured:
                raise NotMeasured(f"{contestant}: {name} was not measured" + (f" ({run['note']})" * bool(run["note"])))
            found.append(measured[name])
        if not found:
            raise NotMeasured(f"{contestant} was not run")
        return found

    def median(self, contestant: str, name: str) -> float:
        return statistics.median(self.values(contestant, name))

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> float:
        return self.median(*over) / self.median(*under)


@dataclass(frozen=True)
class Bar:
    """The least or the largest value that a figure may have.

    Parameters
    ----------
    item : str
        Its number among the project's aims, such as ``"S1"``.
    text : str
        What the figure is.
    figure : callable
        Makes it of the ``Results``.
    limit : float
        What it must reach, or must not exceed.
    at_least : bool
        Which of the two.
    unit : str
        What stands behind the figure.
    """

    item: str
    text: str
    figure: Callable[[Results], float]
    limit: float
    at_least: bool = True
    unit: str = " ×"

    def judge(self, results: Results) -> dict[str, Any]:
        """Return the bar as it is stored: the figure and whether it was met, or why there is none."""
        told = {"item": self.item, "text": self.text, "limit": self.limit, "at_least": self.at_least, "unit": self.unit}
        try:
            figure = self.figure(results)
        except NotMeasured as reason:
            return told | {"figure": None, "met": None, "reason": str(reason)}
        return told | {"figure": figure, "met": figure >= self.limit if self.at_least else figure <= self.limit}


def faster(item: str, text: str, slow: tuple[str, str], fast: tuple[str, str], limit: float) -> Bar:
    """Return a bar: how many times as fast the one is as the other, at least."""
    return Bar(item, text, lambda results: results.ratio(slow, fast), limit)


def within(item: str, text: str, of: tuple[str, str], reference: tuple[str, str], limit: float) -> Bar:
    """Return a bar: how many times the reference a figure is, at most."""
    return Bar(item, text, lambda results: results.ratio(of, reference), limit, at_least=False)


@dataclass(frozen=True)
class Work:
    """Something that several contestants do.

    Parameters
    ----------
    key : str
        Its name on the command line.
    title : str
        Its name in the tables.
    run : callable
        ``run(contestant, size, round)`` measures, in a process of its own.
    contestants : sequence of str
        Who does it; the first is what the others are compared with.
    sizes : mapping
        ``"full"``, ``"quick"`` and ``"tiny"``: how much of it is done.
    bars : sequence of Bar
        What is expected.
    prepare : callable, optional
        ``prepare(size)`` writes the data to files, in a process of its own, and may return a line that describes it.
    rounds : mapping
        Where the work has its own number of rounds.
    discarded : int
        The rounds before the first that counts.
    forked : collection of str
        The contestants that a quick run may fork from a process that has imported TensorFlow. Their peak memory is then
        not measured.
    """

    key: str
    title: str
    run: Callable[[str, Size, int], Measurement]
    contestants: Sequence[str]
    sizes: Mapping[str, Size]
    bars: Sequence[Bar] = ()
    prepare: Callable[[Size], str | None] | None = None
    rounds: Mapping[str, int] = field(default_factory=dict)
    discarded: int = 0
    forked: Collection[str] = ()
