"""Links from what scikit-learn shows of an object, in a notebook say, to its page of the documentation."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from typing import Any

__all__ = ["DocumentedMixin", "Without", "site"]

#: The pages, by the first module names that fit.
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

#: Packages whose classes the pages show under the package's name, not under that of the class's own module.
_SHOWN_AS_PACKAGE = ("ffnn.schedules", "ffnn.solvers")


def site() -> str:
    """Return where the documentation is, without a slash at its end; an empty text where nobody has said so.

    That is the environment variable ``FFNN_DOCS``, such as ``http://127.0.0.1:8000`` beside ``make docs``, or the URL
    that ``pyproject.toml`` has under ``[project.urls]`` as ``Documentation``.
    """
    return (os.environ.get("FFNN_DOCS") or _published()).rstrip("/")


@functools.cache
def _published() -> str:
    try:
        metadata = importlib.metadata.metadata("ffnn")
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
        return ""
    urls = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL") or [])
    return str(urls.get("Documentation", ""))


class Without:
    """Looks like an object that lacks some attributes.

    Parameters
    ----------
    of : object
        The object.
    *names : str
        What it is to lack.
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
    """Fills in what scikit-learn asks for a link to an object's page.

    Where there is no such page, as for the classes of other distributions, or no site, there is no link.
    """

    _doc_link_template = "{site}/{page}/#{name}"

    @property
    def _doc_link_module(self) -> str:
        """The distribution whose objects have a link; scikit-learn compares it with that of the object."""
        return type(self).__module__.partition(".")[0] if self._page and site() else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        kind = type(self)
        module = next((p for p in _SHOWN_AS_PACKAGE if kind.__module__.startswith(f"{p}.")), kind.__module__)
        return {"site": site(), "page": self._page, "name": f"{module}.{kind.__qualname__}"}

    @property
    def _page(self) -> str:
        module = type(self).__module__.split(".")
        return _PAGES.get(".".join(module[:2]), "")
