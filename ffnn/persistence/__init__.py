"""Saves and loads estimators as safetensors files of JSON and arrays; reading them runs no code."""

from __future__ import annotations

from ffnn.persistence.files import load, save

__all__ = ["load", "save"]
