"""The notebooks of the documentation run, and what they are kept with is what they show."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbclient import NotebookClient

from scripts.notebooks import FOLDER, on_page_markdown, run

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def shown(notebook):
    """Return the kind and the words of each output, the numbers left out: they depend on the processor and the time."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output.get("text") or output["data"].get("text/plain", "") for output in outputs]
    kinds = [sorted(output.get("data", {output.get("name"): ""})) for output in outputs]
    return list(zip(kinds, [re.sub(r"\d+(\.\d+)?", "#", text) for text in texts], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_is_kept_with(path, tmp_path):
    assert shown(run(path, tmp_path)) == shown(nbformat.read(path, as_version=4)), "python -m scripts.notebooks"


def test_each_notebook_has_its_page_with_its_code_and_outputs():
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        page = path.with_suffix(".md").read_text()
        assert f"]({path.name})" in page
        text = on_page_markdown(page)
        for cell in nbformat.read(path, as_version=4).cells:
            assert cell.source in text
        assert text.count("```text\n") + text.count("<img ") + text.count('class="ffnn-picture"') >= 3
        assert "<!-- notebook" not in text


CELLS = [
    "import sys\nimport joblib\nimport ffnn\nfrom sklearn.datasets import load_iris\nX, y = load_iris(return_X_y=True)",
    "mlp = ffnn.MLPClassifier((4,), n_epochs=2, builder='native', verbose=1).fit(X, y)",
    "sys.modules['ipywidgets'] = None  # as where it is not installed",
    "mlp.fit(X, y)\nwith ffnn.pool('threads', n_workers=1):\n    joblib.Parallel()([joblib.delayed(len)([])] * 2)",
]


@pytest.mark.slow
def test_bars_are_text_without_a_warning_where_widgets_are_missing(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    with_widgets, without = notebook.cells[1].outputs, notebook.cells[3].outputs
    assert "application/vnd.jupyter.widget-view+json" in with_widgets[0].data
    said = "".join(output.text for output in without if output.get("name") == "stderr")
    assert "MLPClassifier: 100%" in said
    assert "tasks: 100%" in said
    assert "Warning" not in said
