"""Links from scikit-learn's HTML representation of an object to its documentation."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

__all__ = ["DocumentedMixin", "Without", "site"]

#: The pages, by prefix of the module's name; the first match counts.
_PAGES = {
    "ffnn.builders": "plugins/builders",
    "ffnn.classifier": "api/classifier",
    "ffnn.preprocessing": "api/preprocessing",
    "ffnn.regressor": "api/regressor",
    "ffnn.schedules": "plugins/schedules",
    "ffnn.solvers": "plugins/solvers",
    "ffnn_plugins.builders": "plugins/builders",
    "ffnn_plugins.inputs": "plugins/inputs",
    "ffnn_plugins.outputs": "plugins/outputs",
}

#: Packages whose classes are documented under the package's name instead of the module's.
_SHOWN_AS_PACKAGE = ("ffnn.schedules", "ffnn.solvers")


def site() -> str:
    """Return the URL of the documentation without a final slash, or an empty string if it is unknown.

    It is the environment variable ``FFNN_DOCS``, such as ``http://127.0.0.1:8000`` for ``make docs``, or
    ``Documentation`` under ``[project.urls]`` in ``pyproject.toml``.
    """
    return (os.environ.get("FFNN_DOCS") or _published()).rstrip("/")


def _published() -> str:
    try:
        metadata = importlib.metadata.metadata("ffnn")
    except importlib.metadata.PackageNotFoundError:  # run from a folder without being installed
        return ""
    urls = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL") or [])
    return str(urls.get("Documentation", ""))


class Without:
    """A proxy of an object that hides some of its attributes.

    Parameters
    ----------
    of : object
        The object.
    *names : str
        The hidden attributes.
    """

    def __init__(self, of: Any, *names: str) -> None:
        self._of = of
        self._names = names

    @property  # type: ignore[misc]  # an object's can be set, too
    def __class__(self) -> Any:
        return type(self._of)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._of) if name not in self._names]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)


class DocumentedMixin:
    """Gives scikit-learn the link to an object's documentation.

    There is no link if there is no such page, as for third-party classes, or the site is unknown.
    """

    _doc_link_template = "{site}/{page}/#{name}"

    @property
    def _doc_link_module(self) -> str:
        """The distribution of the documented objects, which scikit-learn compares with that of the object."""
        return type(self).__module__.partition(".")[0] if self._page and site() else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        kind = type(self)
        module = next((p for p in _SHOWN_AS_PACKAGE if kind.__module__.startswith(f"{p}.")), kind.__module__)
        return {"site": site(), "page": self._page, "name": f"{module}.{kind.__qualname__}"}

    @property
    def _page(self) -> str:
        module = type(self).__module__.split(".")
        return _PAGES.get(".".join(module[:2]), "")
