"""skl2onnx's private names that ffnn uses."""

from __future__ import annotations

from typing import Any

from ffnn.exceptions import ExportError

__all__ = ["parse_simple_model"]


def parse_simple_model(scope: Any, model: Any, inputs: Any, custom_parsers: Any) -> Any:
    """Declare a model's outputs as skl2onnx does for its own estimators.

    ``skl2onnx._parse._parse_sklearn_simple_model``; there is nothing to take its place.

    Raises
    ------
    ExportError
        If this version of skl2onnx lacks it.
    """
    try:
        from skl2onnx._parse import _parse_sklearn_simple_model
    except ImportError as error:
        import skl2onnx

        raise ExportError(
            f"format='onnx' does not work with skl2onnx {skl2onnx.__version__} ({error}). Install another version, "
            "such as skl2onnx==1.19.1, or use format='savedmodel'."
        ) from error
    return _parse_sklearn_simple_model(scope, model, inputs, custom_parsers)
