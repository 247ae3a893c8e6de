"""TensorFlow's notes about itself, kept from a user who asked for a fit."""

from __future__ import annotations

import os

__all__ = ["quieten_tensorflow"]


def quieten_tensorflow() -> None:
    """Let TensorFlow print errors only, unless the user has said what it shall print, before it is imported.

    It writes to the standard error what it thinks of its build, of the hardware, and of each graph in float64.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
