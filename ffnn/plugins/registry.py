"""Resolves names to classes; the only module that knows which plugins are installed.

The installed plugins are read once per process, at the first use; their classes are imported when they are needed.
"""

from __future__ import annotations

import difflib
import importlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from ffnn._utils.other_names import value_hint
from ffnn.exceptions import (
    EngineNotInstalledError,
    FfnnError,
    PluginConflictError,
    PluginLoadError,
    PluginWarning,
    UnknownPluginError,
)
from ffnn.plugins.guard import describe_error, message, safe_repr
from ffnn.plugins.hookspecs import HOOKS, Kind
from ffnn.plugins.manager import Entry, discover

__all__ = ["Entry", "choose", "entries", "load", "names", "reload", "resolve", "usable"]

T = TypeVar("T")

_MOST_FAILURES: Final = 3  # in one message

_lock = threading.RLock()
_entries: list[Entry] | None = None
#: The classes that have been imported, by kind and name.
_imported: dict[tuple[str, str], type[Any]] = {}


def entries() -> list[Entry]:
    """List all registered names and all problems, by kind, built-in names first.

    Each problem also causes a :class:`~ffnn.exceptions.PluginWarning`, once per process.
    """
    global _entries
    with _lock:
        if _entries is not None:
            return list(_entries)
        _entries = found = discover()
    # outside the lock and after the cache is set, since a filter may turn warnings into errors
    for entry in found:
        if entry.error is not None:
            warnings.warn(f"{entry.label}: {entry.error}", PluginWarning, stacklevel=2)
    return list(found)


def reload() -> None:
    """Clear the cache, so that the installed plugins are read again at the next use."""
    global _entries
    with _lock:
        _entries = None
        _imported.clear()


def names(kind: Kind) -> list[str]:
    """List the usable names of one kind, built-in ones first."""
    return [entry.name for entry in _of(kind) if entry.error is None]


def load(kind: Kind, name: str, parameter: str | None = None) -> type[Any]:
    """Import the class that is registered under a name.

    Parameters
    ----------
    kind : {"builder", "input", "layer", "output", "solver", "schedule", "executor"}
        The kind of plugin.
    name : str
        The registered name.
    parameter : str, optional
        The parameter that holds the name, for the error messages; by default the kind.

    Returns
    -------
    type
        The class, not yet called.

    Raises
    ------
    UnknownPluginError
        If no plugin has that name (a ``ValueError``).
    PluginConflictError
        If several distributions registered it.
    EngineNotInstalledError
        If it is a builder whose engine is not installed (a ``ValueError``).
    PluginLoadError
        If its class cannot be imported.
    """
    known = _imported.get((kind, name))
    if known is not None:
        return known
    parameter = parameter or kind
    claims = [entry for entry in _of(kind) if entry.name == name]
    for entry in claims:
        if entry.error is None:
            found = _import(kind, entry, parameter)
            with _lock:
                if entry in (_entries or ()):  # nobody has asked to read the plugins again meanwhile
                    _imported[kind, name] = found
            return found
    if len(claims) > 1:
        owners = " and ".join(f"{entry.origin} ({entry.target})" for entry in claims)
        raise PluginConflictError(f"{parameter}={name!r} is registered by {owners}. Uninstall one of them.")
    raise UnknownPluginError(_unknown(kind, name, parameter))


def resolve(kind: Kind, spec: object, parameter: str, base: type[T]) -> T:
    """Return the instance for a parameter that is a name or an instance.

    Parameters
    ----------
    kind : {"builder", "input", "layer", "output", "solver", "schedule", "executor"}
        The kind of plugin.
    spec : str or instance of `base`
        A registered name, whose class is called without arguments, or an instance, which is returned as is.
    parameter : str
        The name of the parameter, for the error messages.
    base : type
        The required base class.

    Returns
    -------
    instance of `base`
        The instance.

    Raises
    ------
    TypeError
        If `spec` is neither, for instance a class instead of an instance.
    FfnnError
        As in :func:`load`; PluginLoadError also if the class needs arguments or is no subclass of `base`.
    """
    if isinstance(spec, base) and not isinstance(spec, type):  # a class can satisfy a Protocol by itself
        return spec
    if not isinstance(spec, str):
        raise TypeError(_wrong_type(kind, spec, parameter, base))
    found = load(kind, spec, parameter)
    try:
        instance = found()
    except TypeError as error:
        remedy = f"give {parameter} an instance, {found.__name__}(...), instead of its name"
        raise PluginLoadError(
            f"{parameter}={spec!r} cannot be called without arguments: {message(error)}; {remedy}."
        ) from error
    if not isinstance(instance, base):
        entry = next(entry for entry in _of(kind) if entry.name == spec and entry.error is None)
        raise PluginLoadError(
            f"{parameter}={spec!r} is {entry.target} of {entry.origin}, which is no "
            f"{base.__module__}.{base.__name__}; the plugin's class must derive from it."
        )
    return instance


def usable(kind: Kind) -> Iterator[tuple[str, type[Any]]]:
    """Import the classes of one kind one by one, built-in ones first.

    A class that cannot be imported is skipped with a warning.
    """
    for name in names(kind):
        try:
            found = load(kind, name)
        except FfnnError as error:
            warnings.warn(f"skipped: {message(error)}", PluginWarning, stacklevel=2)
        else:
            yield name, found


def choose(kind: Kind, base: type[T], suits: Callable[[type[Any]], bool]) -> T | None:
    """Return a new instance of the first suitable class of a kind, built-in ones first.

    A third-party class that raises, or is no subclass of `base`, is skipped with a warning.

    Parameters
    ----------
    kind : {"builder", "input", "layer", "output", "executor"}
        The kind of plugin.
    base : type
        The required base class.
    suits : callable
        Takes a class and returns whether it is suitable.

    Returns
    -------
    instance of `base` or None
        None if no class suits.
    """
    built_in = {entry.name for entry in _of(kind) if entry.built_in and entry.error is None}
    for name, found in usable(kind):
        try:
            if not suits(found):
                continue
            made = found()
            if isinstance(made, base):
                return made
            problem = f"it is no {base.__module__}.{base.__name__}"
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if name in built_in:
                raise
            problem = describe_error(error)
        warnings.warn(f"the {kind} {name!r} is skipped: {problem}", PluginWarning, stacklevel=2)
    return None


def _of(kind: Kind) -> list[Entry]:
    if kind not in HOOKS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, HOOKS))}; got {kind!r}.")
    return [entry for entry in entries() if entry.kind == kind]


def _import(kind: Kind, entry: Entry, parameter: str) -> type[Any]:
    module, _, path = entry.target.partition(":")
    subject = f"{parameter}={entry.name!r} ({entry.target}, of {entry.origin})"
    try:
        found: Any = importlib.import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except FfnnError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        missing = _missing_package(error, module)
        if kind == "builder" and missing is not None:
            raise EngineNotInstalledError(
                f"{parameter}={entry.name!r} needs {missing!r}, which is not installed. "
                f"Install it (pip install {missing}), or choose another builder: "
                f"{_list(names(kind), but=entry.name)}."
            ) from error
        raise PluginLoadError(f"{subject} could not be imported: {describe_error(error)}") from error
    if not issubclass(type(found), type):
        raise PluginLoadError(f"{subject} must be a class; it is {safe_repr(found)}.")
    imported: type[Any] = found
    return imported


def _missing_package(error: BaseException, module: str) -> str | None:
    """Return the missing package that made an import fail, unless it is the plugin's own."""
    # a subclass of the error may raise when its name is read
    if type(error) is not ModuleNotFoundError or type(error.name) is not str or not error.name:
        return None
    package = error.name.partition(".")[0]
    return None if package == module.partition(".")[0] else package


def _list(known: list[str], but: str = "") -> str:
    return ", ".join(repr(name) for name in known if name != but) or "(none)"


def _unknown(kind: Kind, name: object, parameter: str) -> str:
    known = names(kind)
    near = difflib.get_close_matches(str(name), known, n=3)
    hint = value_hint(parameter, name, known) or (f" Did you mean {' or '.join(map(repr, near))}?" if near else "")
    remedy = "`ffnn plugins` lists them with their origins, and those that could not be loaded"
    if not any(entry.built_in for entry in entries()):
        remedy = "the built-in ones are missing, because ffnn is not installed in this environment: pip install ffnn"
    article = "an" if kind[0] in "aeiou" else "a"
    return (
        f"{parameter} must name {article} {kind} that is registered; got {name!r}.{hint}{_failures(name)} "
        f"Registered: {_list(known)}; {remedy}."
    )


def _failures(name: object) -> str:
    """Return why plugins failed that may have had the name, those first that are called alike."""
    failed = [entry for entry in entries() if entry.kind == "plugin"]
    failed.sort(key=lambda entry: str(name) not in (entry.name, entry.target, entry.distribution))
    reasons = [f"the {entry.label} {entry.error}" for entry in failed[:_MOST_FAILURES]]
    if len(failed) > _MOST_FAILURES:
        reasons.append(f"and {len(failed) - _MOST_FAILURES} more")
    return f" A plugin that failed may have that name: {'; '.join(reasons)}." if reasons else ""


def _wrong_type(kind: Kind, spec: object, parameter: str, base: type) -> str:
    if isinstance(spec, type):
        got = f"the class {spec.__name__}"
        remedy = f"Give an instance, {spec.__name__}(), or a name"
    else:
        got = f"{spec!r}, of type {type(spec).__name__}"
        remedy = "Give a name"
    return (
        f"{parameter} must be the name of a registered {kind} or an instance of {base.__name__}; got {got}. "
        f"{remedy}: {_list(names(kind))}."
    )
