"""The rules of the layout: who imports whom, and one name, one file, one page, one test."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ffnn
from ffnn.plugins import hookspecs, registry
from ffnn.plugins.hookspecs import HOOKS

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("ffnn/**/*.py"), *ROOT.glob("ffnn_plugins/**/*.py")])
ENGINES = {"tensorflow", "keras", "torch", "jax"}
TRANSPORTS = {"asyncssh", "dask", "distributed", "paramiko", "docker"}
FILE_OF_NAME = {"tf": "tensorflow"}  # the one name that is shorter than its file's

# From the bottom up; a module imports from its own level or from those below it.
LEVELS = [
    ["exceptions"],
    ["atomic", "native", "ops", "structure", "documented", "parameters", "initializers", "passes", "plugins"],
    ["builder", "input", "layer", "output", "executor", "solver", "adaptive", "solvers", "lbfgs", "idling"],
    ["kernels"],
    ["schedule", "schedules"],
    [
        "network",
        "training",
        "listeners",
        "validation",
        "epoch_bar",
        "callbacks",
        "interrupt",
        "settings",
        "fitted",
        "fitting",
        "builders",
        "parallel",
    ],
    ["convertible", "fittable", "inside", "base", "classifier", "regressor", "exporting"],
    ["displays", "persistence", "preprocessing", "presets"],
    ["cli", "doctor", "testing"],
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports; `at_run_time` leaves out those imported for types alone."""
    tree = ast.parse(path.read_text())
    for_types = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for_types.update(ast.walk(node))
    for node in ast.walk(tree):
        if at_run_time and node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: write relative imports in full"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(path)}


# --- who imports whom


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", sorted(ROOT.glob("ffnn/**/*.py")), ids=name_of)
def test_the_core_never_imports_the_plugins(path):
    assert "ffnn_plugins" not in roots(path)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_builders_import_engines(path):
    if not any(path.is_relative_to(ROOT / package / "builders") for package in ("ffnn", "ffnn_plugins")):
        assert not roots(path) & ENGINES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_executors_import_transports(path):
    if not path.is_relative_to(ROOT / "ffnn_plugins/executors"):
        assert not roots(path) & TRANSPORTS


@pytest.mark.parametrize("path", sorted(ROOT.glob("ffnn/**/*.py")), ids=name_of)
def test_imports_go_downward(path):
    own = path.relative_to(ROOT / "ffnn").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in LEVEL, f"give {own} its place in LEVELS"
    for module in imports(path, at_run_time=True):
        package, _, rest = module.partition(".")
        imported = rest.partition(".")[0]
        if package == "ffnn" and imported in LEVEL:
            assert LEVEL[imported] <= LEVEL[own], f"{own} must not import {imported}, which stands above it"


PREPARATION = """
import sys
import ffnn
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
for estimator in (ffnn.MLPClassifier(), ffnn.MLPRegressor()):
    for values in ParameterGrid({"builder": ["tf", "keras"], "hidden_units": [(512,), (256, 128)]}):
        repr(clone(estimator).set_params(**values))
"""


@pytest.mark.parametrize("code", ["import sys, ffnn", "import sys, ffnn.cli", PREPARATION], ids=str.split)
def test_no_engine_is_imported_before_fit(code):
    code += f"\nprint(sorted({ENGINES!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_import_ffnn_is_light():
    code = "import sys, ffnn; print(sorted({'scipy', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- sizes and names


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_fits_in_the_head(path):
    assert len(path.read_text().splitlines()) <= 300


def test_every_public_name_resolves_and_is_documented():
    pages = "\n".join(page.read_text() for page in [*ROOT.glob("docs/*/*.md")])
    documented = {line.rpartition(".")[2] for line in pages.splitlines() if line.startswith("::: ffnn.")}
    assert len(set(ffnn.__all__)) == len(ffnn.__all__)
    for name in ffnn.__all__:
        assert getattr(ffnn, name) is not None
        assert name in dir(ffnn)
        assert name.startswith("__") or name in documented, f"{name} is documented nowhere"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        ffnn.no_such_name  # noqa: B018 - the access is the test


@pytest.mark.parametrize("kind", HOOKS)
def test_every_kind_has_its_module_page_and_documented_hook(kind):
    hook = getattr(hookspecs, HOOKS[kind])
    page = (ROOT / f"docs/plugins/{kind}s.md").read_text()
    assert "Returns" in hook.__doc__
    assert f"ffnn.{kind}.{kind.title()}" in hook.__doc__
    assert HOOKS[kind] in page
    assert f"ffnn.{kind}.{kind.title()}" in page
    assert f"class {kind.title()}(" in (ROOT / f"ffnn/{kind}.py").read_text()


BUILT_IN = [entry for entry in registry.entries() if entry.built_in]


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_one_name_one_file_one_page_one_test(entry):
    package = "ffnn.builders" if entry.target.startswith("ffnn.") else f"ffnn_plugins.{entry.kind}s"
    file = FILE_OF_NAME.get(entry.name, entry.name)
    assert entry.target.startswith(f"{package}.{file}:")
    assert (ROOT / package.replace(".", "/") / f"{file}.py").is_file()
    assert f"`{entry.name}`" in (ROOT / f"docs/plugins/{entry.kind}s.md").read_text()
    assert (ROOT / f"tests/plugins/{entry.kind}s/test_{file}.py").is_file()


@pytest.mark.parametrize("kind", HOOKS)
def test_every_plugin_module_is_registered(kind):
    files = [*ROOT.glob(f"ffnn_plugins/{kind}s/[!_]*.py"), *ROOT.glob(f"ffnn/{kind}s/[!_]*.py")]
    targets = {entry.target.partition(":")[0].rpartition(".")[2] for entry in BUILT_IN if entry.kind == kind}
    assert targets == {path.stem for path in files}
