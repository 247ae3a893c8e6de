"""What the documentation shows is true: its code runs."""

from __future__ import annotations

import os
import re
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor

from ffnn._utils.other_names import NAMES
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import HOOKS
from ffnn.plugins.new import sources
from scripts import coming_from, plugin_pages
from tests.support.pages import blocks, run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n(?P<code>.*?)^```$', re.MULTILINE | re.DOTALL)

#: Pages with code. The readme's is that of the home page, and contributing is about the project's own commands.
RUN = [page for page in PAGES[2:] if page.stem != "contributing" and any(block.runs for block in blocks(page))]
#: What takes more than two seconds of processor time.
SLOW = {
    "docs/callbacks.md",
    "docs/coming-from/keras.md",
    "docs/ensemble.md",
    "docs/executors/dask.md",
    "docs/executors/index.md",
    "docs/executors/multiprocessing.md",
    "docs/executors/ssh.md",
    "docs/export.md",
    "docs/index.md",
    "docs/presets.md",
    "docs/prune.md",
    "docs/quickstart.md",
    "docs/resume.md",
    "docs/tutorial.md",
}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_home_page_says_what_the_readme_says():
    readme, home = (blocks(ROOT / page) for page in ("README.md", "docs/index.md"))
    assert [(b.language, b.code) for b in readme] == [(b.language, b.code) for b in home]


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if name(page) in SLOW else []) for page in RUN], ids=name
)
def test_the_code_of_a_page_runs(page, request, tmp_path, monkeypatch):
    ways = {"docs/executors/ssh.md": "hosts_of_the_page", "docs/executors/kubernetes.md": "pods_of_the_page"}
    if name(page) in ways:
        request.getfixturevalue(ways[name(page)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run(page, tmp_path, monkeypatch)
    assert [str(w.message) for w in caught if "ffnn" in w.category.__module__] == []


@pytest.fixture
def hosts_of_the_page(own_ssh_network, tmp_path, monkeypatch):
    """Let ``ssh`` know the hosts ``alpha`` and ``beta``, on which ``~/ffnn/bin/python`` is."""
    home = tmp_path / "home"
    for path, line in {
        home / "ffnn/bin/python": f'{sys.executable} "$@"',
        tmp_path / "bin/ssh": f'/usr/bin/ssh -F {own_ssh_network.config} "$@"',
    }.items():
        command(path, line)
    for host in own_ssh_network.hosts.values():
        host.options += f"\nSetEnv HOME={home} TMPDIR={host.tmp}"
        host.restart()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.fixture
def pods_of_the_page(tmp_path, monkeypatch):
    """Let ``kubectl exec -i POD -- python3 ...`` start this Python here."""
    command(tmp_path / "bin/python3", f'exec {sys.executable} "$@"')
    run_here = f'[ "$1 $2 $4 $5" = "exec -i -- python3" ] && shift 5 && exec {sys.executable} "$@"'
    command(tmp_path / "bin/kubectl", run_here)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def command(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_few_blocks_do_not_run():
    reasons = [(name(page), b.marker) for page in PAGES for b in blocks(page) if b.marker.startswith("not run")]
    assert len(reasons) < 40


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (ROOT / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_make_targets_in_the_pages_exist(page):
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    mentioned = re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert mentioned
    assert set(mentioned) <= set(targets)


@pytest.mark.parametrize("kind", HOOKS)
def test_the_page_of_a_kind_has_a_plugin_that_is_written_and_what_is_built_in(kind):
    text = plugin_pages.on_page_markdown((ROOT / f"docs/plugins/{kind}s.md").read_text())
    shown = {block["title"]: block["code"] for block in BLOCK.finditer(text) if block["title"]}
    module, _ = shown
    name = Path(module).parent.name.removeprefix("ffnn_")
    assert f"[`ffnn new-plugin {name} --kind {kind}`](write.md)" in text.replace("\n", " ")
    written = sources(name, [kind])
    assert shown == {path: written[path] for path in (f"ffnn_{name}/{kind}.py", f"tests/test_{kind}.py")}
    rows = re.findall(r"^\| \[?`(\w+)`", text, re.MULTILINE)
    assert set(registry.names(kind)) <= set(rows)


def test_the_guide_to_plugins_shows_every_file_that_is_written():
    page = ROOT / "docs/plugins/write.md"
    text = plugin_pages.on_page_markdown(page.read_text())
    shown = {block["title"]: block["code"] for block in BLOCK.finditer(text) if block["title"]}
    written = sources("scale", ["layer"])
    assert shown == {path: code for path, code in written.items() if path != "README.md"}
    version = tomllib.loads(written["pyproject.toml"])["project"]["version"]
    listed = [line.split() for line in text.splitlines() if line.startswith("layer ")]
    assert listed == [["layer", "scale", "ffnn_scale.layer:Scale", "ffnn-scale", version]]
    assert "ffnn_scale.layer:Scale" in written["ffnn_scale/__init__.py"]
    for path in written:
        assert re.search(rf"── {re.escape(Path(path).name)}\b", text), f"the tree does not show {path}"


def test_the_page_of_all_kinds_has_every_name_that_is_built_in():
    text = plugin_pages.on_page_markdown((ROOT / "docs/plugins/index.md").read_text())
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \|.*\| ([^|]*) \|$", text, re.MULTILINE))
    assert rows == {kind: ", ".join(f"`{name}`" for name in registry.names(kind)) for kind in HOOKS}


COMING_FROM = sorted((ROOT / "docs/coming-from").glob("*.md"))


@pytest.mark.parametrize("page", COMING_FROM, ids=lambda page: page.stem)
def test_a_page_on_coming_from_another_library_has_its_table(page):
    text = coming_from.on_page_markdown(page.read_text())
    assert "<!-- names" not in text
    library = re.search(r"<!-- names: (.*) -->", page.read_text())
    assert (library is None) == (page.stem == "index")
    for name in NAMES[library[1]] if library else ():
        assert f"\n| `{name}` | " in text


def test_the_names_of_scikit_learns_parameters_are_those_that_it_has():
    known = {*SklearnClassifier().get_params(), *SklearnRegressor().get_params()}
    assert set(NAMES["scikit-learn"]) == known
