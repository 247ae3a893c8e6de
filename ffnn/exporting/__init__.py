"""Estimators as models that run without ffnn: TensorFlow's SavedModel, Keras's file, ONNX."""

from __future__ import annotations

from ffnn.exporting.files import export

__all__ = ["export"]
