"""The command line: ``python -m benchmarks.suite``."""

from __future__ import annotations

import argparse
import compileall
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ffnn
import ffnn_plugins
from benchmarks.suite import data, page
from benchmarks.suite.machine import machine, versions
from benchmarks.suite.report import bars, markdown
from benchmarks.suite.rounds import PROFILES, Profile, measure
from benchmarks.suite.works import WORKS

FILES = {"full": page.RESULTS / "speed.json", "quick": page.RESULTS / "speed-quick.json"}


def log(line: str) -> None:
    print(line, flush=True)


def run(profile: Profile, keys: Sequence[str], path: Path, *, resume: bool = False) -> dict[str, Any]:
    """Run works; write what they gave to a file, after each of them to one that is called unfinished."""
    unfinished = data.FOLDER / f"unfinished-{profile.name}.json"
    results: dict[str, Any] = {
        "format": 1,
        "profile": profile.name,
        "date": str(date.today()),
        "minutes": 0.0,
        "machine": machine(),
        "versions": versions(),
        "works": [],
    }
    if resume and unfinished.exists():
        results = json.loads(unfinished.read_text())
    # as an installation does, and Python itself at a first import where nothing forbids it
    for package in (ffnn, ffnn_plugins):
        compileall.compile_dir(Path(package.__file__).parent, quiet=1)
    data.FOLDER.mkdir(parents=True, exist_ok=True)
    done = {work["key"] for work in results["works"]}
    for key in keys:
        if key in done:
            continue
        start = time.perf_counter()
        try:
            results["works"].append(measure(WORKS[key], profile, log=log))
        finally:
            shutil.rmtree(data.SCRATCH, ignore_errors=True)
        results["minutes"] += (time.perf_counter() - start) / 60
        unfinished.write_text(json.dumps(results))
    write(results, path)
    unfinished.unlink(missing_ok=True)
    log(f"\n{bars(results['works'])}\n{results['minutes']:.1f} minutes; written: {path}")
    return results


def write(results: Mapping[str, Any], path: Path) -> None:
    """Write results to a file, and their tables beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(markdown(results))


def store(results: Mapping[str, Any], path: Path) -> None:
    """Replace the works of a stored run by those that were measured again; each keeps its date and its machine."""
    stored = json.loads(path.read_text())
    works = {work["key"]: work for work in (*stored["works"], *results["works"])}
    write(stored | {"works": [works[key] for key in WORKS if key in works]}, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or make the page of what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description="ffnn beside its peers.")
    parser.add_argument("--quick", action="store_true", help="smaller, one round, in under five minutes")
    parser.add_argument("--only", nargs="+", choices=list(WORKS), metavar="WORK", help="some works, to output/")
    parser.add_argument("--store", action="store_true", help="put the works of --only into the stored run")
    parser.add_argument("--rounds", type=int, help="how often each contestant is run (default: 3, quick 1)")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was interrupted")
    parser.add_argument("--list", action="store_true", help="name the works and their contestants")
    parser.add_argument("--render", action="store_true", help="make docs/performance.md of the stored figures")
    args = parser.parse_args(arguments)
    if args.list:
        for work in WORKS.values():
            log(f"{work.key:20}{work.title}\n{'':20}{'; '.join(work.contestants)}")
        return
    if args.render:
        log(f"docs/performance.md is made of {page.render().name}.")
        return
    profile = PROFILES["quick" if args.quick else "full"]
    if args.rounds:
        profile = replace(profile, rounds=args.rounds)
    path = data.FOLDER / f"some-{profile.name}.json" if args.only else FILES[profile.name]
    results = run(profile, args.only or list(WORKS), path, resume=args.resume)
    if args.only and args.store:
        store(results, FILES[profile.name])


if __name__ == "__main__":
    main()
