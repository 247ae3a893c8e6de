"""Fills the pages under docs/plugins, as a hook of MkDocs: what is built in, and the files of a new plugin.

- ``<!-- built-in names: layer -->`` becomes the registered names of that kind.
- ``<!-- built-in table: layer -->`` becomes a table of them, with the first sentences of the classes' docstrings.
- ``<!-- new plugin: layer scale ffnn_scale/layer.py -->`` becomes that file, as ``ffnn new-plugin scale --kind layer``
  writes it.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from ffnn.plugins import registry
from ffnn.plugins.hookspecs import Kind
from ffnn.plugins.new import sources

__all__ = ["on_page_markdown"]

_MARK = re.compile(r"<!-- (built-in names|built-in table|new plugin): (\w+)(?: (\w+) (\S+))? -->")
_LANGUAGES = {"py": "python", "toml": "toml", "md": "markdown"}


def built_in(kind: Kind) -> list[str]:
    """Return the names of the plugins of a kind that come with ffnn."""
    return [entry.name for entry in registry.entries() if entry.kind == kind and entry.built_in]


def table(kind: Kind) -> str:
    """Return the table of the plugins of a kind that come with ffnn."""
    rows = ["| name | |", "| --- | --- |"]
    for name in built_in(kind):
        text = inspect.getdoc(registry.load(kind, name)) or ""
        sentence = " ".join(text.partition("\n\n")[0].split()).removesuffix(".")
        cell = f"[`{name}`](../executors/{name}.md)" if kind == "executor" else f"`{name}`"
        rows.append(f"| {cell} | {sentence.replace('``', '`')} |")
    return "\n".join(rows)


def file(kind: Kind, name: str, path: str) -> str:
    """Return a file of a new plugin as a block of code."""
    code = sources(name, [kind])[path]
    return f'```{_LANGUAGES[path.rpartition(".")[2]]} title="{path}"\n{code}```'


def _filled(mark: re.Match[str]) -> str:
    what, kind, name, path = mark.groups()
    if what == "new plugin":
        return file(kind, name, path)
    return table(kind) if what == "built-in table" else ", ".join(f"`{name}`" for name in built_in(kind))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text with what its marks ask for."""
    return _MARK.sub(_filled, markdown)
