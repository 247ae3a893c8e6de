"""The key of a call: a digest of everything that its result depends on, and whether the result may be used again.

The key covers the function and its code, its arguments by content, and the versions of Python, NumPy, SciPy and
scikit-learn; where something of ffnn's is among the arguments, those of ffnn, of the engines and of other people's
plugins, too. It does not cover what cannot be seen in the call: files that a function reads, variables of the
environment, the machine.

Of scikit-learn's fits the key leaves out what changes no result: ``verbose``, the counters for messages, and the
callbacks of scikit-learn.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import BaseEnsemble
from sklearn.utils import check_random_state

from ffnn._utils._private import CALLBACKS, is_fit_and_score, undelayed
from ffnn._version import __version__
from ffnn.parallel.content.digest import Digests
from ffnn.parallel.content.draws import draws
from ffnn.parallel.content.nodes import UnhashableError, node
from ffnn.parallel.preflight.versions import PACKAGES, installed
from ffnn.plugins import registry

__all__ = ["Keys", "TaskKey", "arguments_of"]

_MESSAGES = {"verbose", "split_progress", "candidate_progress", "caller", "callback_ctx"}  # of _fit_and_score
_OF_A_FIT = {"parameters", "train", "test"}  # what differs between the fits of a search
_QUIET = {"verbose", "n_jobs", "memory"}  # parameters that change no result: scikit-learn's glossary
_OF_DISPLAY = {"display", "print_changed_only"}  # of scikit-learn's configuration
_ENGINES = ("torch", "jax")
_MISSING = object()
_UNSEEDED = (
    "{} has random_state=None, so another run would give another result. Give it a seed, or pass "
    "journal=ffnn.Journal(path, reuse_unseeded=True)."
)


@dataclass(frozen=True)
class TaskKey:
    """The key of a call, and the reason why its result must not be used again, if there is one.

    Attributes
    ----------
    key : str or None
        The digest of all of it; None if it cannot be hashed.
    search : str or None
        The digest of what the fits of a search have in common.
    obstacle : str or None
        Why the result must not be used again; None if it may be.
    """

    key: str | None
    search: str | None = None
    obstacle: str | None = None


class Keys:
    """Makes the keys of calls.

    Parameters
    ----------
    reuse_unseeded : bool
        Whether the results of estimators without a seed may be used again.
    """

    def __init__(self, reuse_unseeded: bool) -> None:
        self._reuse_unseeded = reuse_unseeded
        self._digests = Digests(keep=True, counted=_counted)
        self._plugins: bytes | None = None

    def edited_files(self) -> list[str]:
        """Return the files of code that were changed after the keys were made."""
        return self._digests.code.edited_files()

    def of(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskKey:
        """Return the key of a call."""
        seen = _Seen()
        try:
            called, config = undelayed(function)
            arguments = arguments_of(function, args, kwargs)
            if is_fit_and_score(function):
                arguments = {name: value for name, value in arguments.items() if name not in _MESSAGES}
            if any(name.endswith("random_state") and _is_no_seed(value) for name, value in _parameters(arguments)):
                seen.unseeded.append("the candidate")
            parts = {name: self._digest(name, value, seen) for name, value in arguments.items()}
            settings = {name: value for name, value in config.items() if name not in _OF_DISPLAY}
            common = [_environment(), self._digest("function", called, seen), self._digest("config", settings, seen)]
            if seen.is_ours:
                common.append(self._ours())
            common += [node(name, part) for name, part in sorted(parts.items()) if name not in _OF_A_FIT]
            search = node("search", *common)
            own = [node(name, part) for name, part in sorted(parts.items()) if name in _OF_A_FIT]
            key = node("call", search, *own)
            unseeded = [] if self._reuse_unseeded or not seen.unseeded else self._unseeded(arguments, seen)
        except UnhashableError as error:
            return TaskKey(None, None, f"{error}. Leave it out of the arguments, or give it content (__reduce__).")
        obstacle = _UNSEEDED.format(unseeded[0]) if unseeded else None
        return TaskKey(key.hex(), search.hex()[:16], obstacle)

    def _digest(self, name: str, value: Any, seen: _Seen) -> bytes:
        # the scorer of a search without `scoring` has a copy of the estimator, which is not fitted
        look = seen.look_for_ours if name == "scorer" else seen.look
        try:
            return self._digests.digest(value, look)
        except UnhashableError as error:
            raise UnhashableError(f"{error}, in {name!r}") from error

    def _unseeded(self, arguments: dict[str, Any], seen: _Seen) -> list[str]:
        """Return the classes that draw without a seed, once the parameters of the candidate are set."""
        parameters = dict(_parameters(arguments))
        if not parameters:
            return seen.unseeded
        actual = _Seen()
        try:
            fitted = clone(arguments["estimator"]).set_params(**clone(parameters, safe=False))
        except Exception:  # then the fit fails, too
            return seen.unseeded
        rest = [value for name, value in arguments.items() if name not in ("estimator", "parameters", "scorer")]
        self._digest("estimator", [fitted, *rest], actual)
        return actual.unseeded

    def _ours(self) -> bytes:
        """Return the digest of ffnn, of the engines and of other people's plugins."""
        if self._plugins is None:
            versions = [installed(PACKAGES[name]) for name in ("tensorflow", "keras")]
            engines = (__version__, versions, [_version(name) for name in _ENGINES], os.environ.get("KERAS_BACKEND"))
            plugins = [
                node("plugin", f"{entry.kind} {entry.name} {entry.target}".encode(), self._code(entry.target))
                for entry in registry.entries()
                if not entry.built_in and entry.error is None and entry.kind != "executor"
            ]
            self._plugins = node("ffnn", repr(engines).encode(), *sorted(plugins))
        return self._plugins

    def _code(self, target: str) -> bytes:
        return self._digests.code.module(target.partition(":")[0])


class _Seen:
    """Finds objects of ffnn and estimators without a seed among the arguments of a call."""

    def __init__(self) -> None:
        self.is_ours = False
        self.unseeded: list[str] = []
        self._n_seeding = 0  # ensembles around the object, which give their members seeds

    def look_for_ours(self, thing: Any) -> None:
        self.is_ours = self.is_ours or type(thing).__module__.partition(".")[0] in ("ffnn", "ffnn_plugins")

    def look(self, thing: Any) -> Callable[[], None] | None:
        self.look_for_ours(thing)
        attributes = getattr(thing, "__dict__", None)
        seed = attributes.get("random_state", _MISSING) if isinstance(attributes, dict) else _MISSING
        if not self._n_seeding and _is_no_seed(seed) and draws(thing):
            self.unseeded.append(type(thing).__name__)
        if not isinstance(thing, BaseEnsemble) or _is_no_seed(seed):
            return None
        self._n_seeding += 1
        return self._leave

    def _leave(self) -> None:
        self._n_seeding -= 1


def arguments_of(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by their names, where the function says how they are called."""
    signature = _signature_of_fit(undelayed(function)[0]) if is_fit_and_score(function) else None
    if signature is not None:
        return dict(signature.bind(*args, **kwargs).arguments)
    return {**{f"argument {i}": value for i, value in enumerate(args, 1)}, **kwargs}


def _parameters(arguments: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the parameters that a search sets on its estimator."""
    parameters = arguments.get("parameters") if "estimator" in arguments else None
    return list(parameters.items()) if isinstance(parameters, dict) else []


@functools.cache
def _signature_of_fit(function: Any) -> inspect.Signature:
    return inspect.signature(function)


def _is_no_seed(value: Any) -> bool:
    return value is None or value is np.random or value is check_random_state(None)


def _counted(thing: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of an object that a result may depend on."""
    ours = isinstance(thing, BaseEstimator) and type(thing).__module__.partition(".")[0] in ("sklearn", "ffnn")
    left_out = (_QUIET if ours else set()) | (set() if draws(thing) else {"random_state"})
    found = {name: value for name, value in attributes.items() if name not in left_out}
    callbacks = [one for one in found.pop(CALLBACKS, []) if not type(one).__module__.startswith("sklearn.")]
    return found | ({CALLBACKS: callbacks} if callbacks else {})


@functools.cache
def _environment() -> bytes:
    """Return the digest of the versions that every result may depend on."""
    python = (sys.implementation.name, *sys.version_info[:2])
    return node("versions", repr((python, np.__version__, scipy.__version__, sklearn.__version__)).encode())


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
