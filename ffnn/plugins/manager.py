"""Finds the installed plugins, registers each with pluggy, and collects what they claim.

Plugins are loaded one at a time, and each hook is called on its own: whatever one of them does wrong becomes
an :class:`Entry` with an error, and the next one is not affected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import pluggy

from ffnn.plugins import hookspecs
from ffnn.plugins.hookspecs import GROUP, HOOKS

__all__ = ["Entry", "discover"]

BUILT_IN: Final = "ffnn"
RESERVED: Final = frozenset({"auto"})  # the parameters' word for "let the plugins choose"
TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
LEFT_OUT = (Exception, SystemExit)  # a plugin that calls sys.exit() must not end the program either


@dataclass(frozen=True)
class Entry:
    """One line of the listing: a name that a plugin registered, or a plugin that went wrong."""

    kind: str
    """A kind of plugin, or ``"plugin"`` for what concerns a whole entry point."""
    name: str
    """The registered name, or the entry point's."""
    target: str
    """``"package.module:Class"``, or the entry point's module."""
    distribution: str
    version: str
    error: str | None = None
    """Why the entry cannot be used, if it cannot."""

    @property
    def origin(self) -> str:
        """Distribution and version in words."""
        return f"{self.distribution} {self.version}"

    @property
    def label(self) -> str:
        """What the entry is, in words, for a message."""
        return f"{self.kind} {self.name!r} ({self.target}) of {self.origin}"

    @property
    def built_in(self) -> bool:
        """Whether the entry comes from ffnn's own distribution."""
        return self.distribution == BUILT_IN


def discover() -> list[Entry]:
    """Load every installed plugin and list what they register, built-in ones first, problems included."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    found: list[Entry] = []
    for point in sorted(entry_points(group=GROUP), key=_precedence):
        found += _register(manager, point)
    order = [*HOOKS, "plugin"]
    return sorted(_mark_conflicts(found), key=lambda entry: (order.index(entry.kind), not entry.built_in))


def _precedence(point: EntryPoint) -> tuple[bool, str, str]:
    distribution, _ = _origin(point)
    return distribution != BUILT_IN, distribution.lower(), point.name


def _origin(point: EntryPoint) -> tuple[str, str]:
    try:
        metadata: Any = point.dist.metadata if point.dist is not None else {}
        return metadata.get("Name") or "unknown", metadata.get("Version") or "?"
    except Exception:  # some Pythons raise where a half-removed distribution has entry points but no metadata
        return "unknown", "?"


def _register(manager: pluggy.PluginManager, point: EntryPoint) -> Iterator[Entry]:
    """Import one plugin and ask each of its hooks."""
    distribution, version = _origin(point)

    def problem(error: str) -> Entry:
        return Entry("plugin", point.name, point.value, distribution, version, error)

    name = f"{distribution}: {point.name}"  # two distributions may give their entry points the same name
    try:
        plugin = point.load()
        manager.register(plugin, name)
    except LEFT_OUT as error:
        if manager.has_plugin(name):  # pluggy raises half-way through a registration
            manager.unregister(name=name)
        yield problem(f"could not be loaded: {type(error).__name__}: {error}")
        return
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        yield problem("has no hooks: mark each of its hook functions with @ffnn.plugins.hookimpl")
    kinds = {hook: kind for kind, hook in HOOKS.items()}
    for caller in callers:
        if not caller.has_spec():  # what pluggy's check_pending() stops at, here for each hook of one plugin
            yield problem(f"has a hook {caller.name!r}, which does not exist; {_hooks_like(caller.name)}")
            continue
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin:
                origin = (distribution, version)
                yield from _ask(kinds[caller.name], caller.name, implementation.function, origin, problem)


def _hooks_like(name: str) -> str:
    near = difflib.get_close_matches(name, HOOKS.values(), n=1)
    return f"did you mean {near[0]!r}?" if near else f"the hooks are {', '.join(HOOKS.values())}"


def _ask(kind: str, hook: str, function: Any, origin: tuple[str, str], problem: Any) -> Iterator[Entry]:
    """Call one hook of one plugin and read its answer with suspicion."""
    try:
        answer = function()
    except LEFT_OUT as error:
        yield problem(f"hook {hook} failed: {type(error).__name__}: {error}")
        return
    expected = 'expected a dictionary {name: "package.module:Class"}'
    if not isinstance(answer, Mapping):
        yield problem(f"hook {hook} returned {answer!r}; {expected}")
        return
    for name, target in answer.items():
        if not (isinstance(name, str) and name and isinstance(target, str) and TARGET.fullmatch(target)):
            yield problem(f"hook {hook} returned {{{name!r}: {target!r}}}; {expected}")
            continue
        reserved = f"the name {name!r} is reserved; choose another" if name in RESERVED else None
        yield Entry(kind, name, target, *origin, reserved)


def _mark_conflicts(found: list[Entry]) -> Iterator[Entry]:
    """Give the name that several claim to ffnn itself if it is one of them, else to none."""
    claims: dict[tuple[str, str], list[Entry]] = {}
    for entry in found:
        if entry.error is None:
            claims.setdefault((entry.kind, entry.name), []).append(entry)
    for entry in found:
        rivals = [rival for rival in claims.get((entry.kind, entry.name), []) if rival is not entry]
        mine = [rival for rival in rivals if rival.built_in]
        if entry.error is not None or not rivals or (entry.built_in and not mine):
            yield entry
        elif mine:
            error = f"the name {entry.name!r} is built in ({mine[0].target}); choose another"
            yield replace(entry, error=error)
        else:
            others = ", ".join(f"{rival.origin} ({rival.target})" for rival in rivals)
            error = f"the name {entry.name!r} is also registered by {others}; uninstall one of them"
            yield replace(entry, error=error)
