"""Saving and loading: the file, whether it is whole, and where it lies.

The file has an entry an array and two texts: what the arrays are parts of, as JSON, and the SHA-256 of the whole file
with that text zeroed, so that one changed bit is seen. Anything that reads safetensors can read the weights.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ffnn._utils.atomic_files import check_kind, replacing
from ffnn._version import __version__
from ffnn.estimator.base import BaseMLP
from ffnn.exceptions import PersistenceError
from ffnn.persistence.reader import Reader
from ffnn.persistence.records import ESTIMATORS, FORMAT, describe, restore
from ffnn.persistence.values import KEEP, Writer, check

__all__ = ["load", "save"]

#: From each earlier format's contents to those of the next.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
_DTYPES = {
    "BOOL": "?", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "u1", "U16": "<u2", "U32": "<u4",
    "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_NO_DIGEST = "0" * 64

Json = dict[str, Any]


def save(estimator: BaseMLP, path: str | os.PathLike[str]) -> None:
    """Save an estimator, fitted or not, in a file that runs nothing when it is read.

    :func:`load` gives the estimator back: it predicts the same, bit for bit, and ``partial_fit`` goes on as if nothing
    had been in between. The file is complete or not there: it is written beside its place and then moved.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator, not a subclass of yours and not a pipeline around it. Its parameters are plain values and
        objects of ffnn's and of registered plugins' classes; a function, as an activation or as
        ``KerasBuilder(build=...)``, cannot be saved.
    path : str or PathLike
        The file, of any extension. One that is there is replaced, unless it is a device, a pipe or a socket.

    Raises
    ------
    PersistenceError
        If the estimator, or a parameter of its, cannot be saved; no file is touched then. (It is a ``ValueError``.)
    TypeError
        If ``path`` is no path.
    OSError
        If the file cannot be written there.
    """
    kind = type(estimator)
    if ESTIMATORS.get(kind.__name__) is not kind:
        raise PersistenceError(_no_estimator(estimator))
    target = Path(os.path.realpath(_path(path)))  # what a symbolic link leads to is replaced, not the link
    writer = Writer()
    try:
        contents = json.dumps(describe(estimator, writer), allow_nan=False)
    except RecursionError as error:
        raise PersistenceError("estimator: one of its parameters contains itself, and cannot be saved.") from error
    data = safetensors.numpy.save(writer.arrays, {"ffnn": contents, "sha256": _NO_DIGEST})
    head, rest = data[: _header_end(data)], memoryview(data)[_header_end(data) :]
    digest = hashlib.sha256(data).hexdigest()
    _write(target, head.replace(_digest(_NO_DIGEST), _digest(digest)), rest)


def load(path: str | os.PathLike[str]) -> BaseMLP:
    """Return the estimator that :func:`save` put in a file.

    No engine is started. Nothing in the file is run: it can name ffnn's own classes and those of the plugins that are
    installed here, and give them plain values, no more.

    Parameters
    ----------
    path : str or PathLike
        The file.

    Returns
    -------
    MLPClassifier or MLPRegressor
        The estimator.

    Raises
    ------
    PersistenceError
        If the file is damaged, was not made by :func:`save`, is from a later ffnn that writes another format, or needs
        a plugin that is not installed. (It is a ``ValueError``.)
    TypeError
        If ``path`` is no path.
    OSError
        If there is no such file, or it cannot be read.
    """
    source = _path(path, pipes=True)
    data = source.read_bytes()
    try:
        contents = _contents(data)
        arrays = {
            name: np.frombuffer(entry["data"], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # it has no types
        }
        return restore(contents, Reader(arrays, len(data)))
    except PersistenceError as error:
        raise PersistenceError(f"{source}: {error}") from error.__cause__
    except Exception as error:  # whatever numbers and names out of place make of the code that takes them
        raise PersistenceError(
            f"{source}: the contents do not fit together ({type(error).__name__}: {error}). The file was not written "
            "by ffnn.save, or was changed afterwards."
        ) from error


# -- the file -----------------------------------------------------------------------------------------------------


def _path(path: Any, *, pipes: bool = False) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path={path!r}: expected the name of a file, such as 'model.ffnn'; got {type(path).__name__}. "
            "It is ffnn.save(estimator, path) and ffnn.load(path)."
        )
    if "\0" in os.fsdecode(path):
        raise ValueError(f"path={path!r}: the name of a file has no null character. Name another.")
    target = Path(os.fsdecode(path))
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it, such as {target / 'model.ffnn'}.")
    check_kind(target, pipes=pipes)  # before links are resolved: /dev/stdout leads to a pipe that has no path
    return target


def _write(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file that is, at any moment and after a crash, the old one or the whole new one."""
    with replacing(path) as beside, beside.open("wb") as file:
        for part in parts:
            file.write(part)


def _header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def _digest(digest: str) -> bytes:
    # in the JSON beside it, which is a text in the header, quotes have backslashes
    return b'"sha256":"%s"' % digest.encode()


def _contents(data: bytes) -> Json:
    """Return what a file says, after a look at whether the file is whole and can be read by this version."""
    end = _header_end(data)
    try:
        texts = json.loads(data[8:end])["__metadata__"]
        contents = json.loads(texts["ffnn"])
        made_in, version = contents["format"], str(contents["ffnn"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        hint = " It looks like a pickle: joblib.load reads those." if data[:1] == b"\x80" else ""
        raise PersistenceError(f"This is no file of ffnn.save, or a damaged one.{hint}") from error
    check(type(made_in) is int and made_in >= 1, f"The file says that its format is {made_in!r}")
    if made_in > FORMAT:
        raise PersistenceError(
            f"The file has format {made_in} and was made by ffnn {version}; this is ffnn {__version__}, which "
            f"reads formats up to {FORMAT}. Install ffnn {version} or a later one."
        )
    digest = str(texts.get("sha256"))
    found = hashlib.sha256(data[:end].replace(_digest(digest), _digest(_NO_DIGEST)))
    found.update(memoryview(data)[end:])  # no copy
    if found.hexdigest() != digest:
        raise PersistenceError("The file is damaged: it is not what was written. Copy it anew from where it came.")
    for step in range(made_in, FORMAT):
        contents = _MIGRATIONS[step](contents)
    return dict(contents)


def _no_estimator(estimator: Any) -> str:
    name = type(estimator).__name__
    expected = "expected an MLPClassifier or an MLPRegressor"
    if isinstance(estimator, (str, os.PathLike)):
        return f"estimator={estimator!r}: {expected}; the estimator comes first, ffnn.save(estimator, path)."
    if isinstance(estimator, BaseMLP):
        return (
            f"estimator: {expected}, got the subclass {name}, which no file may name. {KEEP} Or save "
            "an estimator of the class itself, and keep what the subclass adds beside it."
        )
    if hasattr(estimator, "best_estimator_"):
        return f"estimator: {expected}, got a {name}. Save its best_estimator_."
    if hasattr(estimator, "steps"):
        return (
            f"estimator: {expected}, got a {name}. Save its last step, ffnn.save(pipeline[-1], path), and the steps "
            "before it with skops.io.dump; or all of it with joblib.dump, whose files are for trusted hands only."
        )
    return f"estimator: {expected}, got {type(estimator).__module__}.{name}."
