"""Writes the tables into ``docs/performance.md``, between two markers, and draws the picture of the ratios."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.suite.contest import NotMeasured, Results
from benchmarks.suite.report import markdown

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "speed.svg"
BEGIN = "<!-- made by `python -m benchmarks.suite --render`: begin -->\n"
END = "<!-- end -->\n"


def stored(folder: Path = RESULTS) -> Path:
    """Return the file that the page is made from: the full run's, or where there is none the quick one's.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    for name in ("speed.json", "speed-quick.json"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{folder} has neither speed.json nor speed-quick.json: run `make bench` first.")


def filled(page: str, results: Mapping[str, Any]) -> str:
    """Return a page's text with the tables between its markers.

    Raises
    ------
    ValueError
        If the page does not have both markers, once each.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{PAGE.name} must have the lines {BEGIN.strip()!r} and {END.strip()!r} once each.")
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + markdown(results) + "\n" + END + rest.partition(END)[2]


PEERS = ["scikit-learn", "Keras", "Keras's wrapper", "scikeras", "skorch"]


FITS = {"fit": "", "first fit": ": first fit", "later fits": ": later fits"}


def ratios(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return how many times as long each peer takes for a fit as the work's first contestant: by work, then by peer."""
    found: dict[str, dict[str, float]] = {}
    for work in results["works"]:
        runs = Results(work["runs"])
        ours, *others = work["runs"]
        for time, suffix in FITS.items():
            for name in others:
                peer = name.partition(",")[0]
                if peer in PEERS:
                    with suppress(NotMeasured):
                        found.setdefault(work["title"] + suffix, {})[peer] = runs.ratio((name, time), (ours, time))
    return {title: peers for title, peers in found.items() if peers}


def draw(results: Mapping[str, Any], path: Path = PICTURE) -> None:
    """Draw the ratios as bars, on a logarithmic axis whose 1 is ffnn."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "ffnn"  # the same figures make the same file
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    shown = ratios(results)
    n_bars = sum(map(len, shown.values()))
    colors = dict(zip(PEERS, plt.get_cmap("tab10").colors, strict=False))
    figure, ax = plt.subplots(figsize=(9, 0.9 + 0.3 * (n_bars + len(shown))), layout="constrained")
    at, ticks, titles = 0.0, [], []
    for title, peers in shown.items():
        ticks.append(at + (len(peers) - 1) / 2)
        titles.append(title.replace(" on ", "\non ", 1))
        for peer, ratio in peers.items():
            ax.barh(at, ratio - 1, left=1, color=colors[peer], height=0.85, label=peer)
            ax.annotate(f" {ratio:.3g} ", (ratio, at), va="center", ha="left" if ratio >= 1 else "right", fontsize=8)
            at += 1
        at += 1
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.axvline(1, color="black", linewidth=1)
    ax.margins(x=0.12)
    ax.set_yticks(ticks, titles, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("how many times as long as ffnn a peer takes for one fit")
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(named.values(), named.keys(), loc="best", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def render() -> Path:
    """Make the Markdown of each stored run, the page and the picture; return the file that the page is made from."""
    for path in RESULTS.glob("speed*.json"):
        path.with_suffix(".md").write_text(markdown(json.loads(path.read_text())))
    source = stored()
    results = json.loads(source.read_text())
    PAGE.write_text(filled(PAGE.read_text(), results))
    try:
        draw(results)
    except ImportError:
        print(f"matplotlib is not installed here: {PICTURE.name} was left as it is.")
    return source
