"""The files of modules and the names of those that they import, found without importing any."""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import pkgutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cloudpickle

__all__ = [
    "file_of",
    "files_of_checkout",
    "has_no_file",
    "imported",
    "imports",
    "is_installed",
    "look_of",
    "parents",
    "travels",
    "version",
]


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that a module of a package may import, at once or in a function."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            taken = [alias.name for alias in statement.names]
            yield from imported(statement.module or "", statement.level, taken, package)


def imported(module: str, level: int, taken: Iterable[str], package: str) -> Iterator[str]:
    """Yield the modules that an import may import: those taken from a package may be modules or not."""
    if level:
        parts = package.split(".")
        module = ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])
    if module:
        yield module
        yield from (f"{module}.{name}" for name in taken if name != "*")


def parents(name: str) -> list[str]:
    """Return the packages that a module is in."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def travels(name: str) -> bool:
    """Return whether a task brings the module's functions along, rather than their names."""
    above = {".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 2)}
    return has_no_file(name) or bool(above & cloudpickle.list_registry_pickle_by_value())


def has_no_file(name: str) -> bool:
    """Return whether a module is a script, a notebook, was made by a program, or is not on this machine."""
    return name in ("__main__", "__mp_main__") or (file_of(name) is None and not _is_namespace(name))


def _is_namespace(name: str) -> bool:
    """Return whether a name is that of a package without a file."""
    spec = _spec(name)
    return spec is not None and spec.submodule_search_locations is not None


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("purelib", "platlib", "stdlib", "platstdlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)


def is_installed(origin: str) -> bool:
    """Return whether a file is Python's own, or of an installed package."""
    if origin in ("built-in", "frozen"):
        return True
    return os.path.realpath(origin).startswith(_installed_folders())


def file_of(name: str) -> str | None:
    """Return the file of a module, without importing anything; None if there is none."""
    module = sys.modules.get(name)
    if module is not None:
        spec = getattr(module, "__spec__", None)
        found = getattr(spec, "origin", None) or getattr(module, "__file__", None)
        return str(found) if found else None
    spec = _spec(name)
    return spec.origin if spec is not None else None


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__spec__", None) is not None:
        return module.__spec__
    parent, _, _ = name.rpartition(".")
    try:
        if not parent:
            return importlib.util.find_spec(name)
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        # not by PathFinder, for which a package without a file must have been imported
        finders = map(pkgutil.get_importer, above.submodule_search_locations)
        specs = (finder.find_spec(name) for finder in finders if finder is not None)
        return next((spec for spec in specs if spec is not None), None)
    except (ImportError, ValueError, AttributeError):
        return None


def files_of_checkout(top: str) -> list[Path]:
    """Return the Python files of a package, in order."""
    spec = _spec(top)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return sorted(file for folder in folders for file in Path(folder).rglob("*.py"))


@functools.cache
def version(top: str) -> str:
    """Return the version of the distribution that a package belongs to, of each if there are several."""
    try:
        return importlib.metadata.version("scikit-learn" if top == "sklearn" else top)
    except importlib.metadata.PackageNotFoundError:
        names = _distributions().get(top, [])
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def look_of(path: str) -> tuple[int, int]:
    """Return a file's time of modification in nanoseconds and its size, which tell whether it was edited."""
    try:
        found = os.stat(path)
    except OSError:
        return (-1, -1)
    return found.st_mtime_ns, found.st_size
