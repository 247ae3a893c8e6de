"""The functions ``save`` and ``load``, and the layout of the file.

The file is in the safetensors format. It has one entry per array and two texts: the estimator as JSON, which refers to
the arrays, and the SHA-256 of the file with the digest zeroed, which detects any change. Any reader of safetensors can
read the weights.
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
from ffnn.persistence.values import JOBLIB, Writer, check

__all__ = ["load", "save"]

#: Functions that convert the contents of each earlier format to the next one.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
_DTYPES = {
    "BOOL": "?", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "u1", "U16": "<u2", "U32": "<u4",
    "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_NO_DIGEST = "0" * 64

Json = dict[str, Any]


def save(estimator: BaseMLP, path: str | os.PathLike[str]) -> None:
    """Save an estimator, fitted or not, in a file that runs no code when it is read.

    The estimator that :func:`load` returns makes the same predictions, bit for bit, and its ``partial_fit`` continues
    the training exactly. The file is written atomically: beside ``path``, and then moved.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator, not a subclass and not a pipeline. Its parameters must be plain values or instances of classes of
        ffnn and of registered plugins; functions, as an activation or as ``KerasBuilder(build=...)``, cannot be saved.
    path : str or PathLike
        The file, with any extension. An existing file is replaced, unless it is a device, a pipe or a socket.

    Raises
    ------
    PersistenceError
        If the estimator or one of its parameters cannot be saved; no file is changed then. (It is a ``ValueError``.)
    TypeError
        If ``path`` is no path.
    OSError
        If the file cannot be written.
    """
    kind = type(estimator)
    if ESTIMATORS.get(kind.__name__) is not kind:
        raise PersistenceError(_no_estimator(estimator))
    target = Path(os.path.realpath(_path(path)))  # replaces the target of a symbolic link, not the link
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
    """Load an estimator from a file written by :func:`save`.

    No engine is started, and no code of the file is run: it can only name classes of ffnn and of installed plugins, and
    give them plain values.

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
        If the file is damaged, was not written by :func:`save`, has the format of a later ffnn, or needs a plugin that
        is not installed. (It is a ``ValueError``.)
    TypeError
        If ``path`` is no path.
    OSError
        If the file does not exist or cannot be read.
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
    except Exception as error:  # misplaced numbers and names may raise anything
        raise PersistenceError(
            f"{source}: the contents are inconsistent ({type(error).__name__}: {error}). The file was not written "
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
    """Write a file atomically: at any moment, and after a crash, it is the old one or the complete new one."""
    with replacing(path) as beside, beside.open("wb") as file:
        for part in parts:
            file.write(part)


def _header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def _digest(digest: str) -> bytes:
    # found once only, since the quotes of the other JSON, a string in the header, are escaped by backslashes
    return b'"sha256":"%s"' % digest.encode()


def _contents(data: bytes) -> Json:
    """Return the contents of a file, after checking that it is intact and readable by this version."""
    end = _header_end(data)
    try:
        texts = json.loads(data[8:end])["__metadata__"]
        contents = json.loads(texts["ffnn"])
        made_in, version = contents["format"], str(contents["ffnn"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        hint = " It looks like a pickle: joblib.load reads those." if data[:1] == b"\x80" else ""
        raise PersistenceError(f"The file was not written by ffnn.save, or is damaged.{hint}") from error
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
        raise PersistenceError("The file is damaged: its checksum does not match. Copy it again from its source.")
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
            f"estimator: {expected}, got the subclass {name}, which a file cannot name. {JOBLIB} Or save "
            "an estimator of the class itself, and store separately what the subclass adds."
        )
    if hasattr(estimator, "best_estimator_"):
        return f"estimator: {expected}, got a {name}. Save its best_estimator_."
    if hasattr(estimator, "steps"):
        return (
            f"estimator: {expected}, got a {name}. Save its last step, ffnn.save(pipeline[-1], path), and the steps "
            "before it with skops.io.dump; or all of it with joblib.dump, whose files must come from a trusted source."
        )
    return f"estimator: {expected}, got {type(estimator).__module__}.{name}."
