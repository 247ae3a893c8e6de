"""The rules of the layout: who imports whom, and one name, one file, one page, one test."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ffnn
from ffnn.plugins import hookspecs, registry
from ffnn.plugins.hookspecs import HOOKS
from scripts import layout
from scripts.plugin_pages import on_page_markdown

ROOT = Path(__file__).parents[1]
CORE = sorted(ROOT.glob("ffnn/**/*.py"))
SOURCES = [*CORE, *sorted(ROOT.glob("ffnn_plugins/**/*.py"))]
ENGINES = {"tensorflow", "keras", "torch", "jax"}
TRANSPORTS = {"asyncssh", "dask", "distributed", "paramiko", "docker"}
FILE_OF_NAME = {"tf": "tensorflow"}  # the one name that is shorter than its file's


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Return the modules that a file imports, those for types too."""
    return tuple(name for module, names in layout.imports(path) for name in (module, *(f"{module}.{n}" for n in names)))


def roots(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(path)}


# --- who imports whom


def test_there_are_sources():
    assert len(SOURCES) > 30


def test_the_core_never_imports_the_plugins():
    assert not [name_of(path) for path in CORE if "ffnn_plugins" in roots(path)]


def test_only_builders_import_engines():
    builders = [ROOT / package / "builders" for package in ("ffnn", "ffnn_plugins")]
    others = [path for path in SOURCES if not any(path.is_relative_to(folder) for folder in builders)]
    assert not {name_of(path): found for path in others if (found := roots(path) & ENGINES)}


def test_only_executors_import_transports():
    others = [path for path in SOURCES if not path.is_relative_to(ROOT / "ffnn_plugins/executors")]
    assert not {name_of(path): found for path in others if (found := roots(path) & TRANSPORTS)}


def test_imports_are_written_in_full():
    relative = [
        name_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_each_package_has_a_floor_and_imports_those_below_it_alone():
    edges = layout.edges()
    floors = {layout.floor_of(module) for module in edges} - {""}
    assert floors == set(layout.ORDER), "give each package its floor in scripts/layout.py"
    upward = [
        f"{module} imports {target}, which stands above it"
        for module, targets in edges.items()
        for target in targets
        if module != "ffnn"  # whose names are imported when they are asked for
        and layout.floor_of(target) != layout.floor_of(module)
        and layout.ORDER.index(layout.floor_of(target)) > layout.ORDER.index(layout.floor_of(module))
    ]
    assert not upward


def test_there_is_no_cycle_of_imports():
    """Those for types counted."""
    edges = {module: set(targets) for module, targets in layout.edges().items() if module != "ffnn"}
    while leaves := [module for module, targets in edges.items() if not targets & edges.keys()]:
        for module in leaves:
            del edges[module]
    assert not edges, f"there is a cycle among {sorted(edges)}"


def test_the_picture_is_that_of_the_code():
    assert layout.PICTURE.read_text() == layout.svg(), "draw it anew: python scripts/layout.py"


PREPARATION = """
import sys
import ffnn
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
for estimator in (ffnn.MLPClassifier(), ffnn.MLPRegressor()):
    for values in ParameterGrid({"builder": ["tf", "keras"], "hidden_units": [(512,), (256, 128)]}):
        repr(clone(estimator).set_params(**values))
"""


@pytest.mark.parametrize("code", ["import sys, ffnn.cli", PREPARATION], ids=str.split)
def test_no_engine_is_imported_before_fit(code):
    code += f"\nprint(sorted({ENGINES!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_import_ffnn_is_light():
    heavy = {"scipy", "sklearn", "pandas", "matplotlib"} | ENGINES
    code = f"import sys, ffnn; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# --- sizes and names


def test_a_file_fits_in_the_head():
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: size for name, size in sizes.items() if size > 300}


def test_every_public_name_resolves_and_is_documented():
    pages = "\n".join(page.read_text() for page in [*ROOT.glob("docs/*/*.md")])
    documented = {line.rpartition(".")[2] for line in pages.splitlines() if line.startswith("::: ffnn.")}
    assert len(set(ffnn.__all__)) == len(ffnn.__all__)
    for name in ffnn.__all__:
        assert getattr(ffnn, name) is not None
        assert name in dir(ffnn)
        assert name.startswith("__") or name in documented, f"{name} is documented nowhere"


def test_what_dir_shows_of_the_package_is_public():
    assert [name for name in dir(ffnn) if not name.startswith("__")] == sorted(ffnn.__all__)


def test_what_dir_shows_of_an_estimator_is_described():
    """Parameters and fitted attributes in its docstring, methods on their own."""
    fitted = ffnn.MLPClassifier((2,), n_epochs=1).fit([[0.0], [1.0]], [0, 1])
    lines = re.findall(r"^(\w[\w, ]*) : ", inspect.getdoc(type(fitted)) or "", re.MULTILINE)
    described = {name for line in lines for name in line.split(", ")}
    shown = {name for name in dir(fitted) if not name.startswith("_")}
    assert "onnx_parser" not in shown
    assert {name for name in shown - described if not inspect.getdoc(getattr(type(fitted), name, None))} == set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        ffnn.no_such_name  # noqa: B018 - the access is the test


def test_every_kind_has_its_module_page_and_documented_hook():
    for kind in HOOKS:
        hook = getattr(hookspecs, HOOKS[kind])
        page = (ROOT / f"docs/plugins/{kind}s.md").read_text()
        assert "Returns" in hook.__doc__, kind
        assert f"ffnn.{kind}.{kind.title()}" in hook.__doc__
        assert HOOKS[kind] in page
        assert f"ffnn.{kind}.{kind.title()}" in page
        assert f"class {kind.title()}(" in (ROOT / f"ffnn/{kind}.py").read_text()


BUILT_IN = [entry for entry in registry.entries() if entry.built_in]


def test_one_name_one_file_one_page_one_test():
    missing = []
    for entry in BUILT_IN:
        package = f"{entry.target.partition('.')[0]}.{entry.kind}s"
        file = FILE_OF_NAME.get(entry.name, entry.name)
        path, page = f"{package.replace('.', '/')}/{file}.py", f"docs/plugins/{entry.kind}s.md"
        test = f"tests/plugins/{entry.kind}s/test_{file}.py"
        facts = {
            f"{entry.target} is in {package}.{file}": entry.target.startswith(f"{package}.{file}:"),
            f"{path} exists": (ROOT / path).is_file(),
            f"{page} names `{entry.name}`": f"`{entry.name}`" in on_page_markdown((ROOT / page).read_text()),
            f"{test} exists": (ROOT / test).is_file(),
        }
        missing += [f"{entry.kind} {entry.name!r}: not true that {fact}" for fact, true in facts.items() if not true]
    assert not missing


def test_every_plugin_module_is_registered():
    for kind in HOOKS:
        files = [*ROOT.glob(f"ffnn_plugins/{kind}s/[!_]*.py"), *ROOT.glob(f"ffnn/{kind}s/[!_]*.py")]
        targets = {entry.target.partition(":")[0].rpartition(".")[2] for entry in BUILT_IN if entry.kind == kind}
        assert targets == {path.stem for path in files}, kind
