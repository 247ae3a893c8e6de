"""What the documentation shows is true: its code runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor

from ffnn._utils.other_names import NAMES
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import HOOKS
from ffnn.plugins.new import sources
from scripts import coming_from, plugin_pages

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n(?P<code>.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[str | None, str]]:
    found = BLOCK.finditer(page.read_text())
    return [(block["title"], block["code"]) for block in found if block["language"] == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_the_pages_compiles(page):
    for _, code in blocks(page, "python"):
        compile(code, str(page), "exec")


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


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_examples_print_what_the_page_says(page, tmp_path):
    code = "\n".join(code for _, code in blocks(ROOT / page, "python"))
    printed = [text for _, text in blocks(ROOT / page, "text")]
    script = tmp_path / "first.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    fraction = re.compile(r"0\.\d+")
    for text, line in zip(printed, done.stdout.splitlines(), strict=True):
        assert fraction.sub("#", text.strip()) == fraction.sub("#", line)
        # the last digits depend on the processor
        shown, said = (list(map(float, fraction.findall(words))) for words in (text, line))
        assert said == pytest.approx(shown, abs=0.02)


COMING_FROM = sorted((ROOT / "docs/coming-from").glob("*.md"))


#: Runs the code of several pages, each with names of its own.
RUN = """
import json, sys
for page, code in json.load(sys.stdin).items():
    print("# " + page)
    exec(compile(code, page, "exec"), {"__name__": "__main__"})
"""


@pytest.mark.slow
def test_what_the_pages_on_coming_from_another_library_show_is_printed(tmp_path):
    """All of them in one process, since most of the time goes to imports."""
    code = {page.stem: "\n".join(code for _, code in blocks(page, "python")) for page in COMING_FROM}
    shown = {page.stem: "".join(text for _, text in blocks(page, "text")) for page in COMING_FROM}
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, input=json.dumps(code), capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.stdout == "".join(f"# {page}\n{text}" for page, text in shown.items()), done.stderr
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


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


@pytest.mark.slow
def test_the_quickstart_runs(tmp_path):
    code = "\n".join(code for _, code in blocks(ROOT / "docs/quickstart.md", "python"))
    code += "\nassert search.best_score_ > 0.9, search.best_score_"
    code += "\nassert (again.predict(X_test) == search.predict(X_test)).all()"
    script = tmp_path / "quickstart.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_guide_to_resuming_resumes(tmp_path):
    ((title, code),) = blocks(ROOT / "docs/resume.md", "python")
    (tmp_path / str(title)).write_text(code)
    for expected in (r"9 tasks on \d workers? in .*: 9 done", r"0 tasks on .*: 0 done, 9 more from the journal"):
        command = [sys.executable, str(title)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
        assert re.match(expected, done.stdout), done.stdout
    command = [sys.executable, "-c", "from ffnn.cli import main; main()", "journal", "show", "run1/"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    ((_, page),) = blocks(ROOT / "docs/resume.md", "console")
    shown = re.search(r"^MLPClassifier: .*\n\nweight_decay .*\n", page, re.MULTILINE)
    assert shown[0] in done.stdout


@pytest.mark.slow
def test_the_guide_to_pruning_stops_losers_and_keeps_the_best(tmp_path):
    (title, code), (_, policy) = blocks(ROOT / "docs/prune.md", "python")
    (tmp_path / str(title)).write_text(code)
    command = [sys.executable, str(title)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
    assert re.search(
        r"^51 fits were stopped, the first PrunedFit\(candidate=0, .*n_epochs=2", done.stdout, re.MULTILINE
    )
    head, _, _ = code.partition("if __name__")
    used = head.replace("n_epochs=50", "n_epochs=25") + policy
    used += '\nwith ffnn.pool("threads", prune=DropTheWorst()) as pool:\n    search.fit(X / 16, y)'
    used += "\nassert [fit.n_epochs for fit in pool.pruned] == [10, 10, 10, 20, 20, 20]"
    (tmp_path / "policy.py").write_text(used)
    done = subprocess.run([sys.executable, "policy.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_ensemble_of_the_page_learns(tmp_path):
    ((_, code),) = blocks(ROOT / "docs/ensemble.md", "python")
    code += "\nassert len(model.estimators_) == 15"
    code += "\nassert min(model.oof_score_, model.score(X_test, y_test)) > 0.95"
    script = tmp_path / "ensemble.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_the_keras_model_of_ones_own_learns():
    code = blocks(ROOT / "docs/plugins/builders.md", "python")[0][1]
    code += "\nfrom sklearn.datasets import load_digits\nX, y = load_digits(return_X_y=True)"
    code += "\nassert mlp.fit(X / 16, y).score(X / 16, y) > 0.9"
    code += "\nassert isinstance(mlp.model_, keras.Model)"
    exec(compile(code, "docs/plugins/builders.md", "exec"), {"__name__": "__main__"})
