"""Writes the folder of a new plugin: ``ffnn new-plugin``."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from ffnn.plugins import registry
from ffnn.plugins.hookspecs import HOOKS, Kind
from ffnn.plugins.manager import RESERVED

__all__ = ["new_plugin", "sources"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Kinds whose classes have the kind at the end of their names: DenseInput, but Affine.
_SUFFIXED: Final = ("builder", "input", "output", "executor")


def new_plugin(name: str, kinds: Sequence[Kind], where: Path) -> Path:
    """Write the folder of a distribution with a plugin of each kind, all of one name, and return it.

    Parameters
    ----------
    name : str
        The name to register; the distribution is called ``ffnn-<name>``.
    kinds : sequence of str
        The kinds of plugin.
    where : path
        The folder in which to make the new one.

    Raises
    ------
    ValueError
        If the name cannot be used, or is taken.
    FileExistsError
        If the folder exists.
    """
    name = name.removeprefix("ffnn-").replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in RESERVED:
        raise ValueError(
            f"NAME: expected a lower-case name of letters, digits and underscores, such as soft_sign; got {name!r}."
        )
    for kind in kinds:
        if name in registry.names(kind):
            owner = next(entry.origin for entry in registry.entries() if (entry.kind, entry.name) == (kind, name))
            raise ValueError(f"NAME: the {kind} {name!r} exists, in {owner}. Choose another name.")
    folder = where / f"ffnn-{name.replace('_', '-')}"
    folder.mkdir()
    for path, text in sources(name, kinds).items():
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def sources(name: str, kinds: Sequence[Kind]) -> dict[str, str]:
    """Return the text of each file of a new plugin's folder, by its path there."""
    package = f"ffnn_{name}"
    values = {"name": name, "package": package, "distribution": package.replace("_", "-")}
    values["description"] = f"Adds the {' and '.join(kinds)} {name!r} to ffnn"
    found = {
        "pyproject.toml": _filled("pyproject.toml", values),
        "README.md": _filled("README.md", values),
        f"{package}/__init__.py": _filled("__init__.py", values),
    }
    for kind in kinds:
        camel = "".join(word.capitalize() for word in name.split("_"))
        own = {"kind": kind, "Kind": kind.title(), "hook": HOOKS[kind]}
        own["cls"] = camel + (kind.title() if kind in _SUFFIXED else "")
        found[f"{package}/__init__.py"] += _filled("hook.py", values | own)
        found[f"{package}/{kind}.py"] = _filled(f"{kind}.py", values | own)
        found[f"tests/test_{kind}.py"] = _filled(_test_of(kind), values | own)
    return found


def _test_of(kind: Kind) -> str:
    """Return the template of a kind's tests: its own, if it has one."""
    own = f"test_{kind}.py"
    return own if _template(own).is_file() else "test.py"


def _template(name: str) -> Any:
    return files("ffnn.plugins") / "templates" / f"{name}.tpl"


def _filled(name: str, values: dict[str, str]) -> str:
    return Template(_template(name).read_text(encoding="utf-8")).substitute(values)
