"""Progress bars."""

from __future__ import annotations

import importlib.util
from typing import Any

__all__ = ["progress_bar"]


def progress_bar(**options: Any) -> Any:
    """Return a bar of tqdm's: a widget in a notebook, and text elsewhere and where ipywidgets is not installed.

    tqdm would issue a warning there.
    """
    if importlib.util.find_spec("ipywidgets") is None:
        from tqdm import tqdm
    else:
        from tqdm.auto import tqdm
    return tqdm(**options)
