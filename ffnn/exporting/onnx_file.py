"""The format ``onnx``: an estimator, or a whole pipeline, as skl2onnx converts it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from sklearn.utils import get_tags

import ffnn
from ffnn.exceptions import ExportError
from ffnn.exporting.subject import Subject

__all__ = ["onnx_model"]

#: What a file of protocol buffers can hold, less what is no weight.
_MOST_BYTES = 2**31 - 2**24


def onnx_model(subject: Subject, X: Any) -> Any:
    """Return the model.

    Parameters
    ----------
    subject : Subject
        What is exported.
    X : array-like, DataFrame, sequence of str or None
        A few rows, whose dtypes the model is to take.

    Raises
    ------
    ExportError
        If something in it has no form in ONNX.
    ImportError
        If onnx or skl2onnx is not installed.
    """
    try:
        onnx, skl2onnx = (importlib.import_module(name) for name in ("onnx", "skl2onnx"))
    except ImportError as error:
        raise ImportError(
            f"format='onnx' needs onnx and skl2onnx ({error}). Install them with: python -m pip install 'ffnn[onnx]'"
        ) from error
    n_bytes = sum(array.nbytes for array in subject.mlp._state().weights.values())
    if n_bytes > _MOST_BYTES:
        raise ExportError(
            f"format='onnx': the weights have {n_bytes / 2**30:.1f} GiB; a file of ONNX holds 2. Use "
            "format='savedmodel', fewer features or hidden_units, or dtype='float32'."
        )
    try:
        model = skl2onnx.to_onnx(subject.whole, initial_types=_initial_types(subject, X))
        onnx.checker.check_model(model)
    except (ExportError, TypeError):
        raise
    except Exception as error:  # whatever a converter says of what it was not made for
        hint = "" if X is not None else " Where columns of X have several types, give some rows: export(..., X=X)."
        raise ExportError(
            f"format='onnx': skl2onnx cannot convert the {type(subject.whole).__name__}: {type(error).__name__}: "
            f"{error}{hint} Or export the last step, ffnn.export(pipeline[-1], path), and transform X before."
        ) from error
    model.producer_name, model.producer_version = "ffnn", ffnn.__version__
    return model


def _initial_types(subject: Subject, X: Any) -> list[tuple[str, Any]]:
    """Return the model's inputs, each with its name and type."""
    first = (*subject.transformers, subject.mlp)[0]
    if X is None:
        tags = get_tags(first).input_tags
        if tags.string and not tags.two_d_array:
            return [("X", _type("U", [None]))]
        return [("X", _type(subject.mlp.network_.dtype, [None, first.n_features_in_]))]
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return [(_column(name), _type(dtype, [None, 1])) for name, dtype in zip(X.columns, X.dtypes, strict=True)]
    array = X if hasattr(X, "dtype") else np.asarray(X)
    return [("X", _type(array.dtype, [None, *array.shape[1:]]))]


def _type(dtype: Any, shape: list[Any]) -> Any:
    """Return skl2onnx's type for a dtype of NumPy's or pandas's."""
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
    raise TypeError(f"X has the dtype {dtype}, which ONNX does not have; expected numbers, booleans or strings.")


def _column(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"X has a column {name!r}; expected strings, which name the inputs of the model.")
    return name
