"""Digests of code: of packages by their versions, of the user's modules and functions by their bytecode.

- A module of an *installed* package counts by the version of its distribution.
- A module of the *user's* counts by its compiled code, and so do the user's modules that it imports. Comments and the
  layout of the text do not matter, everything else does.
- What a script or a notebook defines has no module that could be imported. A function counts by its bytecode,
  constants, defaults, closure and the global names that it refers to; a class by its bases and what it defines.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import os
import sys
import types
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from ffnn.parallel.content.modules import (
    file_of,
    files_of_checkout,
    has_no_file,
    imported,
    imports,
    is_installed,
    look_of,
    parents,
    travels,
    version,
)
from ffnn.parallel.content.nodes import UnhashableError, node

__all__ = ["CodeDigests", "referenced_names"]

_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"}
#: What Python, copyreg and scikit-learn add to the dictionary of a class by themselves, some of it later.
_ADDED = {"__dict__", "__weakref__", "__module__", "__qualname__", "__doc__", "__annotations__", "__annotate__"}
_ADDED |= {"__annotations_cache__", "__abstractmethods__", "_abc_impl", "__slotnames__", "__firstlineno__"}
_ADDED |= {"__static_attributes__", *(f"set_{name}_request" for name in ("fit", "partial_fit", "score", "predict"))}
_ADDED |= {f"set_{name}_request" for name in ("predict_proba", "decision_function", "transform", "inverse_transform")}
_OURS = ("ffnn", "ffnn_plugins")
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)


class CodeDigests:
    """Digests of functions, classes and modules.

    Parameters
    ----------
    digest : callable
        Returns the digest of any object: a closure, a default, a constant.
    """

    def __init__(self, digest: Callable[[Any], bytes]) -> None:
        self._digest = digest
        self._modules: dict[str, bytes] = {}
        self._files: dict[str, tuple[int, int]] = {}

    def edited_files(self) -> list[str]:
        """Return the user's files that were changed after their digests were made."""
        return [path for path, seen in self._files.items() if look_of(path) != seen]

    def function(self, function: types.FunctionType) -> bytes:
        """Return the digest of a function that is written in Python."""
        name = str(function.__module__)
        if _is_importable(function):
            return node("global", name.encode(), function.__qualname__.encode(), self.module(name))
        cells = [_content(cell) for cell in function.__closure__ or ()]
        others = (function.__defaults__, function.__kwdefaults__, cells, vars(function))
        parts = [_code_digest(function.__code__), self._digest(others)]
        if not has_no_file(name):
            parts.append(self.module(name))
        if travels(name) or self._of_installed(name) is None:  # a task brings the globals that it uses along
            known = function.__globals__
            used = sorted(referenced_names(function.__code__) & known.keys())
            parts += [node("name", used_name.encode(), self._digest(known[used_name])) for used_name in used]
            package = str(known.get("__package__") or "")
            parts += [self.module(lazy) for lazy in sorted(_lazy_imports(function.__code__, package))]
        return node("function", *parts)

    def type_(self, kind: type) -> bytes:
        """Return the digest of a class."""
        name = str(kind.__module__)
        if name == "builtins" or _is_importable(kind):
            parts = [name.encode(), kind.__qualname__.encode(), self.module(name)]
            if self._of_installed(name) is None:  # the user's, whose attributes may be set at run time
                with contextlib.suppress(UnhashableError):
                    parts.append(self._body(kind))
            return node("class", *parts)
        if not has_no_file(name):  # made in a function of a module
            return node("class", kind.__qualname__.encode(), self.module(name), self._body(kind))
        return node("class", kind.__qualname__.encode(), self._body(kind))

    def global_(self, module: str, name: str) -> bytes:
        """Return the digest of what a module calls by that name."""
        if has_no_file(module):
            raise UnhashableError(f"{name} of {module}, whose code is not known")
        return node("global", module.encode(), name.encode(), self.module(module))

    def module(self, name: str) -> bytes:
        """Return the digest of a module, which need not be imported."""
        if name not in self._modules:
            self._modules[name] = self._of_installed(name) or self._of_users(name)
        return self._modules[name]

    def _body(self, kind: type) -> bytes:
        parts = [self._digest(base) for base in kind.__bases__] + [self._digest(type(kind))]
        for name, value in sorted(vars(kind).items()):
            if name not in _ADDED and not isinstance(value, _DESCRIPTORS):
                parts.append(node("name", name.encode(), self._digest(_inner(value))))
        return node("body", *parts)

    def _of_installed(self, name: str) -> bytes | None:
        top = name.partition(".")[0]
        if top in sys.builtin_module_names or top in sys.stdlib_module_names:
            return node("standard library")
        origin = file_of(name)
        if origin is not None and is_installed(origin):
            return node("installed", top.encode(), version(top).encode())
        return _of_checkout(top) if top in _OURS else None

    def _of_users(self, name: str) -> bytes:
        """Return the digest of the code of a user's module and of those that it imports, all of the user's."""
        if has_no_file(name):
            return node("script")
        found: dict[str, bytes] = {}
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in found or has_no_file(current):
                continue
            installed = self._of_installed(current)
            if installed is not None:
                found[current] = installed
                continue
            found[current], others = self._of_file(current)
            waiting += [*others, *parents(current)]
        return node("modules", *(node("module", key.encode(), found[key]) for key in sorted(found)))

    def _of_file(self, name: str) -> tuple[bytes, list[str]]:
        """Return the digest of a module's file, and the names of the modules that it may import."""
        origin = file_of(name)
        if origin is None:  # a name that `from … import` takes from a module, or a package without a file
            return node("none"), []
        try:
            data = Path(origin).read_bytes()
            self._files[origin] = look_of(origin)
            if not origin.endswith(".py"):
                return node("bytes", data), []
            package = name if os.path.basename(origin) == "__init__.py" else name.rpartition(".")[0]
            code = compile(data, "", "exec", dont_inherit=True)
            if not set(map(_code_digest, _loaded_codes(name, origin))) <= set(map(_code_digest, _with_inner(code))):
                raise UnhashableError(f"the module {name}, which was edited after its import (reload it)")
            return _code_digest(code), list(imports(ast.parse(data), package))
        except (OSError, SyntaxError, ValueError) as error:
            raise UnhashableError(f"the module {name}, whose file {origin} cannot be read: {error}") from error


def referenced_names(code: types.CodeType) -> set[str]:
    """Return the global names that a function's code uses, with those of the functions defined in it."""
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname in _GLOBALS}
    return names.union(*(referenced_names(inner) for inner in _inner_codes(code)))


def _lazy_imports(code: types.CodeType, package: str) -> set[str]:
    """Return the modules that a function may import when it runs."""
    steps = list(dis.get_instructions(code))
    names: set[str] = set()
    for i, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":  # after the level of a relative import, and the names that are taken
            taken = steps[i - 1].argval or ()
            names.update(imported(step.argval, steps[i - 2].argval, taken, package))
    return names.union(*(_lazy_imports(inner, package) for inner in _inner_codes(code)))


def _inner_codes(code: types.CodeType) -> list[types.CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in _inner_codes(code):
        yield from _with_inner(inner)


def _loaded_codes(name: str, origin: str) -> Iterator[types.CodeType]:
    """Yield the code of the functions and methods that a module has from its file, if Python has imported it."""
    module = sys.modules.get(name)
    if type(getattr(module, "__loader__", None)) is not SourceFileLoader:  # others, such as pytest's, change the code
        return
    values = list(vars(module).values())
    classes = [value for value in values if isinstance(value, type) and value.__module__ == name]
    for value in (*values, *(_inner(value) for kind in classes for value in list(vars(kind).values()))):
        if isinstance(value, types.FunctionType) and value.__code__.co_filename == origin:
            yield value.__code__


def _code_digest(code: types.CodeType) -> bytes:
    """Return the digest of bytecode, without lines and file names."""
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    numbers = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    constants = [_constant(constant) for constant in code.co_consts]
    return node("code", code.co_code, code.co_exceptiontable, repr((names, numbers)).encode(), *constants)


def _constant(value: Any) -> bytes:
    if isinstance(value, types.CodeType):
        return _code_digest(value)
    if isinstance(value, tuple):
        return node("tuple", *map(_constant, value))
    if isinstance(value, frozenset):
        return node("set", *sorted(map(_constant, value)))
    return node(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is not filled yet
        return types.CellType


def _inner(value: Any) -> Any:
    """Return what makes up a descriptor."""
    if isinstance(value, staticmethod | classmethod):
        return (type(value).__name__, value.__func__)
    if isinstance(value, property):
        return (value.fget, value.fset, value.fdel)
    if isinstance(value, functools.cached_property):
        return value.func
    return value


def _is_importable(thing: Any) -> bool:
    """Return whether a worker imports a function or class by its name, rather than getting it by value."""
    name = str(getattr(thing, "__module__", None))
    if travels(name):
        return False
    found: Any = sys.modules.get(name)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


@functools.cache
def _of_checkout(top: str) -> bytes:
    """Return the digest of ffnn's own code where it is installed as a checkout: all of it, as that is faster."""
    return node("checkout", *(file.read_bytes() for file in files_of_checkout(top)))
