"""The layout of the code: which package stands on which, and the picture of it, docs/images/layout.svg.

``python scripts/layout.py`` draws the picture from the code's imports; ``--check`` fails if it is out of date.
``tests/test_structure.py`` holds the code to :data:`FLOORS`.
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Iterator
from html import escape
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/layout.svg"
BOX = 46  # the height of a box

#: The packages and modules right under ffnn/, from the bottom up, in the rows of the picture, each with its role. Each
#: imports only those before it, for types too.
FLOORS: list[dict[str, str]] = [
    {
        "_version": "the version",
        "exceptions": "every error",
        "model": "the engine's seam",
        "_utils": "checks, threads, files",
        "plugins": "hooks, registry",
        "ops": "array operations",
        "initializers": "first weights",
        "native": "operations in C",
    },
    {
        "layer": "kind",
        "input": "kind",
        "output": "kind",
        "network": "the description",
        "lazy_rows": "steps made up for later",
        "solver": "kind",
        "schedule": "kind",
    },
    {
        "solvers": "adam, sgd, lbfgs, …",
        "schedules": "cosine, one cycle, …",
        "training": "epochs, listeners",
        "builder": "kind",
    },
    {
        "kernels": "C, for sparse rows",
        "builders": "tf, keras",
        "onnx": "networks as ONNX",
        "executor": "kind",
        "parallel": "pools, hosts, workers",
    },
    {"estimator": "fit, predict", "exporting": "ffnn.export"},
    {
        "classifier": "MLPClassifier",
        "regressor": "MLPRegressor",
        "preprocessing": "transformers",
        "presets": "named settings",
        "ensembles": "ffnn.ensemble",
        "persistence": "ffnn.save, ffnn.load",
        "displays": "plots",
    },
    {
        "doctor": "ffnn doctor",
        "journal": "ffnn journal",
        "cli": "the command ffnn",
        "testing": "suites for plugins",
        "callbacks": "MLflow",
    },
]
ORDER = list(chain.from_iterable(FLOORS))


def modules() -> dict[str, Path]:
    """Return the modules of ffnn by their dotted names."""
    found = {}
    for path in sorted(ROOT.glob("ffnn/**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the modules that a file imports, those for types too, and the names that it takes from each."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module), [alias.name for alias in node.names]


def edges() -> dict[str, set[str]]:
    """Return for each module of ffnn the others that it imports."""
    known = modules()
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        targets = set()
        for name, taken in imports(path):
            inner = {f"{name}.{part}" for part in taken} & known.keys()
            targets |= inner or ({name} & known.keys())
        found[module] = targets - {module}
    return found


def floor_of(module: str) -> str:
    """Return the package or module right under ffnn that a module belongs to; "" for ffnn itself."""
    name = module.removeprefix("ffnn").removeprefix(".").partition(".")[0]
    return "cli" if name == "__main__" else name


def package_edges() -> dict[str, set[str]]:
    """Return for each package the others that it imports, without those that it reaches through another one."""
    direct: dict[str, set[str]] = {name: set() for name in ORDER}
    for module, targets in edges().items():
        own = floor_of(module)
        if own in direct:
            direct[own] |= {floor_of(target) for target in targets} & (direct.keys() - {own})
    reached: dict[str, set[str]] = {}
    for name in ORDER:
        reached[name] = direct[name].union(*(reached.get(target, set()) for target in direct[name]))
    return {
        name: {t for t in targets if not any(t in reached[other] for other in targets - {t})}
        for name, targets in direct.items()
    }


def columns(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the names of each floor from left to right, ordered so that few lines cross."""
    rows = [list(floor) for floor in FLOORS]
    neighbours: dict[str, set[str]] = {name: set(targets) for name, targets in edges.items()}
    for name, targets in edges.items():
        for target in targets:
            neighbours[target].add(name)
    for _ in range(8):
        for row in rows:
            places = {name: (i + 0.5) / len(floor) for floor in rows for i, name in enumerate(floor)}
            means = {
                name: math.fsum(places[other] for other in neighbours[name]) / len(neighbours[name])
                if neighbours[name]
                else places[name]
                for name in row
            }
            row.sort(key=lambda name: (means[name], name))
    return rows


def line(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    """Return the path from the bottom of a box to the top of one below it, or to the bottom of one beside it."""
    x, y, width = start
    tx, ty, target_width = end
    x, tx, bottom = x + width / 2, tx + target_width / 2, y + BOX
    if ty == y:
        low = bottom + 36
        return f'<path class="beside" d="M{x:.0f} {bottom} C{x:.0f} {low} {tx:.0f} {low} {tx:.0f} {bottom}"/>'
    half = (ty - bottom) / 2
    return f'<path d="M{x:.0f} {bottom} C{x:.0f} {bottom + half:.0f} {tx:.0f} {ty - half:.0f} {tx:.0f} {ty}"/>'


def svg() -> str:
    """Return the picture: a box for each package, a line to each package that it stands on."""
    width, row_height = 1000, 104
    height = row_height * len(FLOORS)
    edges = package_edges()
    boxes: dict[str, tuple[float, float, float]] = {}
    for row, names in enumerate(columns(edges)):
        step = width / len(names)
        box = min(step - 10, 170)
        y: float = height - 36 - BOX - row * row_height
        for column, name in enumerate(names):
            boxes[name] = (step * (column + 0.5) - box / 2, y, box)
    paths = [line(boxes[name], boxes[target]) for name in ORDER for target in sorted(edges[name], key=ORDER.index)]
    roles = {name: role for floor in FLOORS for name, role in floor.items()}
    texts = []
    for name, (x, y, box) in boxes.items():
        kind = ' class="kind"' if roles[name] == "kind" else ""
        role = "a kind of plugin" if kind else roles[name]
        texts.append(f'<rect{kind} x="{x:.0f}" y="{y}" width="{box:.0f}" height="{BOX}" rx="6"/>')
        texts.append(f'<text x="{x + box / 2:.0f}" y="{y + 19}" class="name">{escape(name)}</text>')
        texts.append(f'<text x="{x + box / 2:.0f}" y="{y + 36}">{escape(role)}</text>')
    style = (
        "svg{background:#fff}path{stroke:#9aa5c4;fill:none}.beside{stroke-dasharray:4 3}"
        "rect{fill:#eef1fb;stroke:#4051b5}.kind{fill:#cdd5f5}"
        "text{font:12px sans-serif;text-anchor:middle;fill:#444}.name{font-weight:bold;font-size:13px;fill:#111}"
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>The packages of ffnn: each stands on those below it</title>",
        f"<style>{style}</style>",
        *paths,
        *texts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Draw the picture, or check that it is that of the code."""
    if "--check" not in sys.argv[1:]:
        PICTURE.write_text(svg())
        return 0
    if PICTURE.exists() and PICTURE.read_text() == svg():
        return 0
    print(f"{PICTURE.relative_to(ROOT)} is out of date. Draw it again: python scripts/layout.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
