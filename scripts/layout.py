"""The layout of the code: which package stands on which, and the picture of it, docs/images/layout.svg.

``python scripts/layout.py`` draws the picture from the code's imports; ``--check`` fails if it is an old one.
``tests/test_structure.py`` holds the code to :data:`FLOORS`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from html import escape
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/layout.svg"

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
        "persistence": "ffnn.save, ffnn.load",
        "displays": "plots",
    },
    {"doctor": "ffnn doctor", "cli": "the command ffnn", "testing": "suites for plugins"},
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
    return module.removeprefix("ffnn").removeprefix(".").partition(".")[0]


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


def svg() -> str:
    """Return the picture: a box a package, a line to each package that it stands on."""
    width, box_height, row_height = 1180, 46, 96
    height = row_height * len(FLOORS) + 20
    boxes: dict[str, tuple[float, float, float]] = {}
    for row, floor in enumerate(FLOORS):
        step = width / len(floor)
        box = min(step - 18, 200)
        y = height - 20 - box_height - row * row_height
        for column, name in enumerate(floor):
            boxes[name] = (step * (column + 0.5) - box / 2, y, box)
    parts = []
    for name, targets in package_edges().items():
        x, y, box = boxes[name]
        for target in sorted(targets, key=ORDER.index):
            tx, ty, tbox = boxes[target]
            if ty == y:  # neighbours: an arc below the row
                start, end, bottom = x + box / 2, tx + tbox / 2, y + box_height
                parts.append(
                    f'<path d="M{start:.0f} {bottom} Q{(start + end) / 2:.0f} {bottom + 34} {end:.0f} {bottom}"/>'
                )
            else:
                parts.append(f'<path d="M{x + box / 2:.0f} {y + box_height} L{tx + tbox / 2:.0f} {ty}"/>')
    texts = []
    for name, (x, y, box) in boxes.items():
        role = next(floor[name] for floor in FLOORS if name in floor)
        texts.append(f'<rect x="{x:.0f}" y="{y}" width="{box:.0f}" height="{box_height}" rx="6"/>')
        texts.append(f'<text x="{x + box / 2:.0f}" y="{y + 19}" class="name">{escape(name)}</text>')
        texts.append(f'<text x="{x + box / 2:.0f}" y="{y + 36}">{escape(role)}</text>')
    style = (
        "svg{background:#fff}path{stroke:#9aa5c4;fill:none}rect{fill:#eef1fb;stroke:#4051b5}"
        "text{font:12px sans-serif;text-anchor:middle;fill:#444}.name{font-weight:bold;font-size:13px;fill:#111}"
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>The packages of ffnn: each stands on those below it</title>",
        f"<style>{style}</style>",
        *parts,
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
    print(
        f"{PICTURE.relative_to(ROOT)} is not that of the code. Draw it anew: python scripts/layout.py", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
