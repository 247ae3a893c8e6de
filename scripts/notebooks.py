"""The notebooks of the documentation: run again with ``python -m scripts.notebooks``, and shown by a hook of MkDocs.

Each ``docs/notebooks/NAME.ipynb`` is kept with its outputs; a line ``<!-- notebook: NAME -->`` becomes its cells.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

__all__ = ["FOLDER", "on_page_markdown", "run"]

FOLDER = Path(__file__).resolve().parents[1] / "docs/notebooks"
_MARK = re.compile(r"^<!-- notebook: (.+) -->$", re.MULTILINE)
_WIDGET = "application/vnd.jupyter.widget-view+json"


def run(path: Path, folder: Path) -> Any:
    """Run a notebook in a folder, and return it with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # when it ran
        if cell.cell_type == "code":  # bars are gone when it is read
            cell.outputs = [output for output in cell.outputs if _WIDGET not in output.get("data", {})]
    notebook.metadata.pop("widgets", None)
    return notebook


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text with its notebook: text, code, and what the code showed."""
    return _MARK.sub(lambda mark: _markdown(FOLDER / f"{mark[1]}.ipynb"), markdown)


def _markdown(path: Path) -> str:
    """Return a notebook as Markdown, its pictures inside."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [_shown(output) for output in cell.outputs]
    return "\n\n".join(parts)


def _shown(output: Any) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="{data.get("text/plain", "")}" src="data:image/png;base64,{data["image/png"].strip()}">'
    if "text/html" in data:
        lines = data["text/html"].splitlines()  # an empty line would end the HTML
        return "\n".join(line for line in lines if line.strip())
    return f"```text\n{(output.get('text') or data.get('text/plain', '')).rstrip()}\n```"


if __name__ == "__main__":
    import tempfile

    for path in sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run(path, Path(folder)), path)
        print(path.name)
