"""The function ``export``: checks its arguments, chooses the format and writes the file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ffnn._utils.atomic_files import check_kind, replacing
from ffnn._utils.checks import unknown_name
from ffnn.builder import can_be_found
from ffnn.builders._engines import import_engine, keras_backend
from ffnn.estimator.builders import builder_of
from ffnn.exceptions import EngineNotInstalledError, ExportError
from ffnn.exporting.fitted import FittedPipeline
from ffnn.ops import NumpyOps
from ffnn.output import Output

__all__ = ["export"]

#: The formats by the suffix of the path.
_SUFFIXES = {".onnx": "onnx", ".keras": "keras", "": "savedmodel"}


def export(estimator: Any, path: str | os.PathLike[str], format: str | None = None, *, X: Any = None) -> None:
    """Export a fitted estimator, or a pipeline that ends in one, as a model that runs without ffnn and scikit-learn.

    SavedModel and ONNX models take rows as the estimator does and return its results: for a classifier the decoded
    ``label`` and the ``probabilities``; for a regressor the ``value``, in the unit of y. A Keras file contains the
    network only, as the Keras model that ``model_`` is with ``builder="keras"``, without labels. Dropout and noise are
    off. The model does not depend on the builder that trained the estimator.

    An existing file at ``path`` is replaced atomically: the model is written beside it and then moved.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Pipeline or search
        The fitted estimator. For a search, its ``best_estimator_`` is exported. A pipeline with transformers can be
        exported to ONNX only.
    path : str or PathLike
        The file, or for a SavedModel the folder. An existing folder is replaced only if it is a SavedModel or empty.
    format : {"onnx", "keras", "savedmodel"}, optional
        The format; by default the one of the path's suffix: ``.onnx``, ``.keras``, or none for a SavedModel.
    X : array-like, DataFrame or sequence of str, optional
        A few example rows: the model's input gets their dtype, and each column of a DataFrame becomes an input. By
        default the model takes strings if a pipeline begins with a text vectorizer, and otherwise numbers of the
        network's dtype (``estimator.network_.dtype``).

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ExportError
        If it cannot be exported in that format; the message gives an alternative. (It is a ``ValueError``.)
    EngineNotInstalledError
        If the format needs an engine that is not installed: TensorFlow for a SavedModel, Keras's backend for a Keras
        file.
    TypeError, ValueError
        If an argument is invalid.
    ImportError
        If another library that the format needs is not installed.
    OSError
        If the model cannot be written to ``path``.
    """
    fitted = FittedPipeline.of(estimator)
    target, name = _target(path, format)
    fitted.check_rows(X)
    if name != "onnx":
        fitted.check_alone(name)
    _check_engine(name)
    if name != "keras":
        _check_output(fitted.network.output)
    write = _WRITERS[name]
    with replacing(target) as beside:
        write(fitted, beside, X)


def _target(path: Any, format: Any) -> tuple[Path, str]:
    """Return the path, with symbolic links resolved, and the format."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path={path!r}: expected the name of a file or a folder, such as 'model.onnx'; got "
            f"{type(path).__name__}. It is ffnn.export(estimator, path)."
        )
    if "\0" in os.fsdecode(path):
        raise ValueError(f"path={path!r}: the name of a file has no null character. Name another.")
    check_kind(Path(os.fsdecode(path)))
    target = Path(os.path.realpath(os.fsdecode(path)))
    otherwise = "None to use the suffix of path: .onnx, .keras, or none for a SavedModel"
    if format is None:
        suffix = Path(os.fsdecode(path)).suffix
        if suffix not in _SUFFIXES:
            raise ValueError(
                f"path={os.fspath(path)!r}: the suffix {suffix!r} names no format. Expected .onnx, .keras, or none for "
                "a SavedModel. Or give format='onnx', 'keras' or 'savedmodel'."
            )
        format = _SUFFIXES[suffix]
    if not isinstance(format, str) or format not in _WRITERS:
        raise unknown_name("format", format, _WRITERS, otherwise)
    if format == "keras" and target.suffix != ".keras":
        raise ValueError(f"path={os.fspath(path)!r}: Keras reads only files that end in .keras. Add that suffix.")
    if format == "savedmodel":
        _check_folder(target)
    elif target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it, such as {target / ('model.' + format)}.")
    return target, str(format)


def _check_folder(target: Path) -> None:
    if target.is_dir():
        if any(target.iterdir()) and not (target / "saved_model.pb").is_file():
            raise FileExistsError(
                f"{target} is a folder with contents other than a SavedModel, which would be lost. Name a folder in "
                f"it, such as {target / 'model'}, or remove it."
            )
    elif target.exists():
        raise FileExistsError(f"{target} is a file; a SavedModel is a folder. Name another path, or remove the file.")


def _check_engine(format: str) -> None:
    """Refuse a format whose engine is not installed, before anything is written."""
    if format == "savedmodel" and not can_be_found("tensorflow"):
        raise EngineNotInstalledError(
            "format='savedmodel' needs tensorflow, which is not installed. Install it with: python -m pip install "
            "'tensorflow', which has releases for Python 3.11 to 3.13. Or use format='onnx'."
        )
    backend = keras_backend()
    if format == "keras" and "keras" not in sys.modules and not can_be_found(backend):
        raise EngineNotInstalledError(
            f"format='keras': Keras runs on {backend!r}, which is not installed. Install it, or name another backend "
            "before Keras is imported: export KERAS_BACKEND=jax. Or use format='onnx'."
        )


def _check_output(output: Output) -> None:
    """Refuse an output whose `export` disagrees with its `decode` and `probabilities`.

    A subclass that overrides only one of them would export other results than the estimator predicts.
    """
    scores = np.random.default_rng(0).normal(size=(16, output.n_outputs_))
    exported = output.export(NumpyOps(), scores)
    expected = {"value": output.decode(scores)}
    if output.estimator_type == "classifier":
        expected = {"label": output.decode(scores), "probabilities": output.probabilities(scores)}
    for name, value in expected.items():
        numbers = value.dtype.kind == "f"
        same = np.allclose if numbers else np.array_equal
        if name not in exported or exported[name].shape != value.shape or not same(exported[name], value):
            raise ExportError(
                f"{type(output).__name__}.export gives another {name!r} than the estimator does. Make the method agree "
                "with decode and probabilities, or use format='keras', which does not call it."
            )


# -- formats, each of which imports its own libraries


def _write_onnx(fitted: FittedPipeline, path: Path, X: Any) -> None:
    from ffnn.exporting.onnx_file import onnx_model

    path.write_bytes(onnx_model(fitted, X).SerializeToString())


def _write_keras(fitted: FittedPipeline, path: Path, X: Any) -> None:
    import_engine("keras")
    from ffnn.builders._keras.export import save_keras

    save_keras(builder_of(fitted.mlp), fitted.network, fitted.mlp._state().weights, path)


def _write_savedmodel(fitted: FittedPipeline, path: Path, X: Any) -> None:
    import_engine("tensorflow")
    from ffnn.builders._tensorflow.export import save_tensorflow

    network, weights, scores = fitted.network, fitted.mlp._state().weights, None
    if not network.weights.keys() <= weights.keys():
        from ffnn.builders._keras.export import own_model_scores

        scores = own_model_scores(builder_of(fitted.mlp), network)
    save_tensorflow(network, weights, fitted.dtype(X), path, scores)


_WRITERS: dict[str, Callable[[FittedPipeline, Path, Any], None]] = {
    "onnx": _write_onnx,
    "keras": _write_keras,
    "savedmodel": _write_savedmodel,
}
