"""The source of little plugins, for the fixture ``install``; and what is wrong with those that are installed."""

from __future__ import annotations

import warnings

from ffnn.exceptions import PluginWarning
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import HOOKS

__all__ = ["HEADER", "a_layer", "hook", "problems"]

HEADER = "from ffnn.plugins import hookimpl\n"


def hook(kind: str, body: str) -> str:
    """Return a module with one hook."""
    return f"{HEADER}\n@hookimpl\ndef {HOOKS[kind]}():\n    {body}\n"


def a_layer(name: str, target: str) -> str:
    """Return a module that registers a layer."""
    return hook("layer", f"return {{{name!r}: {target!r}}}")


def problems() -> list[registry.Entry]:
    """Return the entries that have an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        return [entry for entry in registry.entries() if entry.error]
