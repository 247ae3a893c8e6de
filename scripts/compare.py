"""Makes docs/comparison.md from comparison.toml: capabilities of ffnn, each with its tests, and of its peers.

    python scripts/compare.py           writes the page
    python scripts/compare.py --check   says whether the page is what would be written, and writes nothing

Either way every test that is named must exist.
"""

from __future__ import annotations

import ast
import functools
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FACTS = ROOT / "scripts" / "comparison.toml"
PAGE = ROOT / "docs" / "comparison.md"

SIGNS = {"yes": "✓", "part": "◐", "model": "✎", "no": "–"}

HEAD = """# Comparison with peers

<!-- made by scripts/compare.py from scripts/comparison.toml; change that, and run `make comparison` -->

What ffnn and similar libraries can do: ✓ means yes, ◐ partly, – no, and ✎ that the library takes a network of yours,
in whose code you write it. Each ✓ of ffnn rests on tests, which are named below, and each cell of a peer on what was
read in its code.

"""


@functools.cache
def tests_of(path: str) -> frozenset[str]:
    """Return the names of the tests in a file: functions, classes, and methods of classes."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            names.add(node.name)
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            names.add(node.name)
            names.update(f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef))
    return frozenset(names)


def mistakes(facts: dict[str, Any]) -> list[str]:
    """Return what is wrong with the facts: tests that are missing or do not exist, cells that rest on nothing."""
    found = []
    for row in facts["row"]:
        if not row["tests"] and ours(row)[0] != "no":
            found.append(f"{row['what']}: no tests are named")
        for test in row["tests"]:
            path, _, name = test.partition("::")
            if name not in tests_of(path):
                found.append(f"{row['what']}: there is no test {test}")
        for peer in facts["peers"]:
            verdict, grounds = row[peer]
            if verdict not in SIGNS or not grounds:
                found.append(f"{row['what']}: {peer} = {row[peer]!r} says nothing")
    return found


def ours(row: dict[str, Any]) -> tuple[str, str]:
    """Return our own verdict, and what it rests on: the tests, and what there is to say besides."""
    verdict, said = row.get("ffnn", ("yes", ""))
    tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in row["tests"])
    return verdict, "; ".join(part for part in (said, tests) if part)


def page(facts: dict[str, Any]) -> str:
    """Return the page."""
    peers = facts["peers"]
    lines = [
        "| | ffnn | " + " | ".join(peer["name"] for peer in peers.values()) + " |",
        "| --- |" + " :-: |" * (1 + len(peers)),
    ]
    for row in facts["row"]:
        signs = [SIGNS[verdict] for verdict, _ in (ours(row), *(row[peer] for peer in peers))]
        lines.append(f"| {row['what']} | {' | '.join(signs)} |")
    lines += ["", "## What was read", ""]
    lines += [f"- {peer['name']}: {peer['read']}" for peer in peers.values()]
    lines += ["", "## What each row rests on", ""]
    for row in facts["row"]:
        cells = [("ffnn", *ours(row)), *((peers[peer]["name"], *row[peer]) for peer in peers)]
        lines += [f"**{row['what']}**", ""]
        lines += [f"- {name} {SIGNS[verdict]}: {grounds}" for name, verdict, grounds in cells]
        lines.append("")
    return HEAD + "\n".join(lines)


def main() -> None:
    """Write the page, or check it."""
    facts = tomllib.loads(FACTS.read_text())
    found = mistakes(facts)
    if found:
        raise SystemExit("\n".join(["scripts/comparison.toml:", *found]))
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(facts))
    elif PAGE.read_text() != page(facts):
        raise SystemExit("docs/comparison.md is not what scripts/comparison.toml makes. Run `make comparison`.")


if __name__ == "__main__":
    main()
