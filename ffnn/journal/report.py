"""The summary of a journal as one HTML file, which needs no network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

__all__ = ["as_html"]

_PLACE = "{}/*summary*/"


def as_html(summary: dict[str, Any]) -> str:
    """Return the report: ``report.html`` with the summary in it.

    Whatever users have named or printed is data of the report's script, which shows it as text; here only the
    characters are escaped that could end the script.
    """
    data = json.dumps(summary, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    template = files("ffnn.journal").joinpath("report.html").read_text(encoding="utf-8")
    return template.replace(_PLACE, data)
