"""Exports estimators as models that run without ffnn: SavedModel, Keras and ONNX."""

from __future__ import annotations

from ffnn.exporting.files import export

__all__ = ["export"]
