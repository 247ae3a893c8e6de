"""Programs of the system that a test needs."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["lacks", "needs"]


def needs(*programs: str, package: str | None = None) -> None:
    """Skip the test if a program is not installed; where ``CI=true``, fail instead.

    Parameters
    ----------
    *programs : str
        Names, or paths.
    package : str or None
        The Debian package that has them, if it is not called as the first of them.
    """
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        lacks(f"{', '.join(missing)}: not installed; apt-get install {package or programs[0]}")


def lacks(reason: str) -> None:
    """Skip the test for a reason that lies in the machine; where ``CI=true``, fail instead."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (this must not be so where CI=true)", pytrace=False)
    pytest.skip(reason)
