"""Makes our docstrings Markdown: roles (``:class:`~ffnn.layer.Layer```) become links, ``::`` a colon."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|attr|data|exc|mod):`(?P<short>~?)(?P<path>[\w.]+)`")
LITERAL = re.compile(r"::$(?=\n\n +)", re.MULTILINE)


class Roles(griffe.Extension):
    """Rewrites each docstring when it has been read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite one docstring; a name that has no page stays plain code."""
        if obj.docstring is not None and not obj.is_alias:
            text = ROLE.sub(lambda role: self._link(role, obj), obj.docstring.value)
            obj.docstring.value = LITERAL.sub(":", text)

    def _link(self, role: re.Match[str], obj: griffe.Object) -> str:
        path = role["path"]
        text = path.rpartition(".")[2] if role["short"] else path
        if not path.startswith("ffnn"):  # :meth:`forward` means this class's, :class:`Entry` this module's
            owner = obj if obj.is_class or obj.is_module else obj.parent
            path = f"{owner.path if owner else obj.module.path}.{path}"
        return f'<autoref identifier="{path}" optional>`{text}`</autoref>'
