"""The format ``onnx``: converts an estimator, or a whole pipeline, by skl2onnx."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import get_tags

from ffnn._version import __version__
from ffnn.exceptions import ExportError
from ffnn.exporting.fitted import FittedPipeline

__all__ = ["onnx_model"]

#: The largest size of the weights: the limit of protocol buffers, with room for the rest of the model.
_MOST_BYTES = 2**31 - 2**24
#: scikit-learn's token pattern, and its equivalent in RE2, where \\w is ASCII only.
_PATTERN = r"(?u)\b\w\w+\b"
_PATTERN_IN_RE2 = r"[\p{L}\p{N}_][\p{L}\p{N}_]+"
_LOCALE = "C.UTF-8"


def onnx_model(fitted: FittedPipeline, X: Any) -> Any:
    """Return the model.

    Parameters
    ----------
    fitted : FittedPipeline
        The fitted estimator or pipeline.
    X : array-like, DataFrame, sequence of str or None
        A few rows with the dtypes of the model's inputs.

    Raises
    ------
    ExportError
        If a part of it cannot be converted to ONNX.
    ImportError
        If onnx or skl2onnx is not installed.
    """
    try:
        onnx, skl2onnx = (importlib.import_module(name) for name in ("onnx", "skl2onnx"))
    except ImportError as error:
        raise ImportError(
            f"format='onnx' needs onnx and skl2onnx ({error}). Install them with: python -m pip install 'ffnn[onnx]'"
        ) from error
    n_bytes = sum(array.nbytes for array in fitted.mlp._state().weights.values())
    if n_bytes > _MOST_BYTES:
        raise ExportError(
            f"format='onnx': the weights have {n_bytes / 2**30:.1f} GiB; an ONNX file holds at most 2. Use "
            "format='savedmodel', fewer features or hidden_units, or dtype='float32'."
        )
    try:
        model = skl2onnx.to_onnx(
            fitted.whole, initial_types=_initial_types(fitted, X), options=_options(fitted.whole) or None
        )
        onnx.checker.check_model(model)
        _check_runs(fitted, model, X)
    except (ExportError, TypeError):
        raise
    except Exception as error:  # converters raise anything for unsupported steps
        hint = "" if X is not None else " If the columns of X have several types, give some rows: export(..., X=X)."
        raise ExportError(
            f"format='onnx': the {type(fitted.whole).__name__} cannot be converted: {type(error).__name__}: "
            f"{error}{hint} Or export the last step, ffnn.export(pipeline[-1], path), and transform X first."
        ) from error
    model.producer_name, model.producer_version = "ffnn", __version__
    return model


def _options(step: Any) -> dict[int, dict[str, str]]:
    """Return the options of skl2onnx by which texts are tokenised as in scikit-learn."""
    if isinstance(step, CountVectorizer):  # or a TfidfVectorizer, which is one
        # a locale that every Linux has, even in a container, unlike onnxruntime's en_US.UTF-8
        own = {"locale": _LOCALE}
        if step.analyzer == "word" and step.token_pattern == _PATTERN:
            own["tokenexp"] = _PATTERN_IN_RE2
        return {id(step): own}
    inside: list[Any] = []
    for name in ("steps", "transformers_", "transformer_list"):
        inside += [part[1] for part in getattr(step, name, ())]
    return {key: own for part in inside for key, own in _options(part).items()}


def _check_runs(fitted: FittedPipeline, model: Any, X: Any) -> None:
    """Compare the model with the pipeline if onnxruntime is installed, since skl2onnx is not always exact."""
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions too
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if X is None or not fitted.transformers:
        return
    whole, is_classifier = fitted.whole, hasattr(fitted.mlp, "predict_proba")
    expected = whole.predict_proba(X) if is_classifier else whole.predict(X)
    result = session.run(["probabilities" if is_classifier else "value"], _feed(session, X))[0]
    near = 1e-3 * np.abs(expected).max(initial=1e-9)
    if not np.allclose(result, expected, rtol=1e-3, atol=near):
        row = int(np.abs(result - expected).reshape(len(expected), -1).max(axis=1).argmax())
        raise ExportError(
            f"format='onnx': for row {row} of X the model gives {result[row]}, the pipeline {expected[row]}. skl2onnx "
            f"converts one of its steps inexactly ({', '.join(type(step).__name__ for step in fitted.transformers)}). "
            "Export the last step, ffnn.export(pipeline[-1], path), and transform X first."
        )


def _feed(session: Any, X: Any) -> dict[str, Any]:
    """Return rows as the inputs of a session."""
    dtypes = {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
        "tensor(bool)": bool,
    }
    inputs = {entry.name: dtypes.get(entry.type, object) for entry in session.get_inputs()}
    if hasattr(X, "columns"):
        return {name: np.asarray(X[[name]], dtype=dtype) for name, dtype in inputs.items()}
    return {name: np.asarray(X, dtype=dtype) for name, dtype in inputs.items()}


def _initial_types(fitted: FittedPipeline, X: Any) -> list[tuple[str, Any]]:
    """Return the names and types of the model's inputs."""
    first = (*fitted.transformers, fitted.mlp)[0]
    if X is None:
        tags = get_tags(first).input_tags
        if tags.string and not tags.two_d_array:
            return [("X", _type("U", [None]))]
        return [("X", _type(fitted.mlp.network_.dtype, [None, first.n_features_in_]))]
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return [(_column(name), _type(dtype, [None, 1])) for name, dtype in zip(X.columns, X.dtypes, strict=True)]
    array = X if hasattr(X, "dtype") else np.asarray(X)
    return [("X", _type(array.dtype, [None, *array.shape[1:]]))]


def _type(dtype: Any, shape: list[Any]) -> Any:
    """Return skl2onnx's type for a dtype of NumPy or pandas."""
    from skl2onnx.common import data_types

    kind = getattr(dtype, "kind", None) or np.dtype(dtype).kind
    if kind == "f":
        double = np.dtype(getattr(dtype, "numpy_dtype", dtype)).itemsize == 8
        return (data_types.DoubleTensorType if double else data_types.FloatTensorType)(shape)
    if kind in "iu":
        return data_types.Int64TensorType(shape)
    if kind in "OUST":
        return data_types.StringTensorType(shape)
    if kind == "b":
        return data_types.BooleanTensorType(shape)
    raise TypeError(f"X has the dtype {dtype}, which ONNX lacks; expected numbers, booleans or strings. Convert X.")


def _column(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"X has a column {name!r}; expected strings, which name the model's inputs. Rename the column.")
    return name
