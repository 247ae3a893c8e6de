"""Finds the installed plugins, registers each with pluggy, and collects the names they register.

Plugins are loaded one at a time, and each hook is called on its own: a failure becomes an :class:`Entry` with an error
and does not affect other plugins.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any, Final

import pluggy

from ffnn.plugins import hookspecs
from ffnn.plugins.guard import describe_error, one_line, safe_repr
from ffnn.plugins.hookspecs import GROUP, HOOKS

__all__ = ["Entry", "discover"]

BUILT_IN: Final = "ffnn"
RESERVED: Final = frozenset({"auto"})  # the parameters' word for "let the plugins choose"
TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
MAX_NAMES: Final = 1000  # per hook, since a mapping may be endless
LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Entry:
    """One line of the listing: a registered name, or a plugin that failed."""

    kind: str
    """The kind of plugin, or ``"plugin"`` for an entry that concerns a whole entry point."""
    name: str
    """The registered name, or the entry point's."""
    target: str
    """``"package.module:Class"``, or the entry point's module."""
    distribution: str
    version: str
    error: str | None = None
    """The reason why the entry cannot be used, if any."""

    @property
    def origin(self) -> str:
        """The distribution and its version, for a message."""
        return f"{self.distribution} {self.version}"

    @property
    def label(self) -> str:
        """The description of the entry for a message."""
        return f"{self.kind} {self.name!r} ({self.target}) of {self.origin}"

    @property
    def built_in(self) -> bool:
        """Whether the entry comes from ffnn's own distribution."""
        return self.distribution == BUILT_IN


def discover() -> list[Entry]:
    """Load every installed plugin and list the registered names and the problems, built-in plugins first."""
    found: list[Entry] = []
    loaded: list[object] = []
    for point in sorted(_entry_points(), key=_precedence):
        found += _register(point, loaded)
    order = [*HOOKS, "plugin"]
    return sorted(_mark_conflicts(found), key=lambda entry: (order.index(entry.kind), not entry.built_in))


def _entry_points() -> list[EntryPoint]:
    """Return the entry points of ffnn's group, without distributions whose metadata cannot be read."""
    try:
        return list(entry_points(group=GROUP))
    except Exception:  # the whole call fails if one file cannot be read
        found: dict[str, list[EntryPoint]] = {}
        for distribution in distributions():
            try:
                name = re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()
                if name not in found:  # the first one on the path wins, as in imports
                    found[name] = [point for point in distribution.entry_points if point.group == GROUP]
            except Exception:
                continue
        return [point for points in found.values() for point in points]


def _precedence(point: EntryPoint) -> tuple[bool, str, str]:
    distribution, _ = _origin(point)
    return distribution != BUILT_IN, distribution.lower(), point.name


def _origin(point: EntryPoint) -> tuple[str, str]:
    try:
        metadata: Any = point.dist.metadata if point.dist is not None else {}
        return one_line(str(metadata.get("Name") or "unknown")), one_line(str(metadata.get("Version") or "?"))
    except Exception:  # some Python versions raise if a partly removed distribution lacks metadata
        return "unknown", "?"


def _register(point: EntryPoint, loaded: list[object]) -> Iterator[Entry]:
    """Import one plugin and call each of its hooks."""
    origin = _origin(point)

    def problem(error: str) -> Entry:
        return Entry("plugin", one_line(point.name), one_line(point.value), *origin, error)

    try:
        plugin = point.load()
        if any(plugin is other for other in loaded):
            yield problem("is the same object as that of another entry point; remove one of the two")
            return
        loaded.append(plugin)
        callers = _hook_callers(plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        yield problem(f"could not be loaded: {describe_error(error)}")
        return
    if not callers:
        yield problem("has no hooks: mark each of its hook functions with @ffnn.plugins.hookimpl")
    kinds = {hook: kind for kind, hook in HOOKS.items()}
    for caller in callers:
        if not caller.has_spec():  # like pluggy's check_pending(), but for each hook
            name = one_line(caller.name)
            yield problem(f"has a hook {name!r}, which does not exist; {_hooks_like(name)}")
            continue
        for implementation in caller.get_hookimpls():
            yield from _call_hook(kinds[caller.name], caller.name, implementation.function, origin, problem)


def _hook_callers(plugin: object) -> list[pluggy.HookCaller]:
    """Return a plugin's hooks, using a separate manager.

    A shared manager would compare the plugins with each other, and their ``__eq__`` cannot be trusted.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, "plugin")
    return manager.get_hookcallers(plugin) or []


def _hooks_like(name: str) -> str:
    near = difflib.get_close_matches(name, HOOKS.values(), n=1)
    return f"did you mean {near[0]!r}?" if near else f"the hooks are {', '.join(HOOKS.values())}"


def _call_hook(
    kind: str, hook: str, function: Callable[[], object], origin: tuple[str, str], problem: Callable[[str], Entry]
) -> Iterator[Entry]:
    """Call one hook of one plugin and validate its result."""
    found: list[Entry] = []
    try:
        for claim in _read_answer(function()):
            if isinstance(claim, str):
                found.append(problem(f"hook {hook} returned {claim}"))
                continue
            name, target = claim
            reserved = f"the name {name!r} is reserved; choose another" if name in RESERVED else None
            found.append(Entry(kind, name, target, *origin, reserved))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin must not end the program
        found.append(problem(f"hook {hook} failed: {describe_error(error)}"))
    yield from found


def _read_answer(answer: object) -> Iterator[tuple[str, str] | str]:
    """Yield each name and target as plain text, or a description of the problem."""
    expected = 'expected a dictionary {name: "package.module:Class"}'
    if not isinstance(answer, Mapping):
        yield f"{safe_repr(answer)}; {expected}"
        return
    for n, (name, target) in enumerate(answer.items()):
        if n == MAX_NAMES:
            yield f"more than {MAX_NAMES} names; the others are left out"
            return
        if not (issubclass(type(name), str) and issubclass(type(target), str)):
            yield f"{{{safe_repr(name)}: {safe_repr(target)}}}; {expected}"
            continue
        # a subclass of str may override any method
        name, target = str.__str__(name), str.__str__(target)
        if not (name and TARGET.fullmatch(target)):
            yield f"{{{safe_repr(name)}: {safe_repr(target)}}}; {expected}"
        elif not name.isprintable() or name != name.strip() or len(name) > LONGEST_NAME:
            yield (
                f"the name {safe_repr(name)}; expected at most {LONGEST_NAME} printable characters, "
                "without spaces around them"
            )
        else:
            yield name, target


def _mark_conflicts(found: list[Entry]) -> Iterator[Entry]:
    """Resolve names registered several times: they belong to ffnn if it is among the claimants, else to none."""
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
