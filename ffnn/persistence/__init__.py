"""Estimators as files that run nothing when they are read: JSON and arrays, in one file of the format safetensors."""

from __future__ import annotations

from ffnn.persistence.files import load, save

__all__ = ["load", "save"]
