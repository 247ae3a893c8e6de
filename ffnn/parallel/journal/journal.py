"""The setting ``journal=`` of a pool."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np

from ffnn.parallel.journal.store import Store

__all__ = ["Journal", "as_journal"]


class Journal:
    """A folder in which a pool records every finished task, and from which a search that runs again resumes.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; it is made if it does not exist.
    reuse_unseeded : bool, default=False
        Whether to use recorded results of estimators with ``random_state=None`` again. By default they are recorded for
        ``ffnn journal show`` only, as another run would give other results.

    Raises
    ------
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> with ffnn.pool("multiprocessing", journal=ffnn.Journal("run1", reuse_unseeded=True)):  # doctest: +SKIP
    ...     search.fit(X, y)
    """

    def __init__(self, path: str | os.PathLike[str], *, reuse_unseeded: bool = False) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(
                f"journal must be the path of a folder or an ffnn.Journal; got {path!r} of type {type(path).__name__}. "
                f'Pass journal="run1", for instance.'
            )
        if not isinstance(reuse_unseeded, bool | np.bool_):
            raise TypeError(f"reuse_unseeded must be True or False; got {reuse_unseeded!r}. Leave it out for False.")
        self.path: Path = Path(path)
        self.reuse_unseeded: bool = bool(reuse_unseeded)
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._pid = 0

    def __repr__(self) -> str:
        """Return the call that makes an equal journal."""
        return f"Journal({str(self.path)!r}{', reuse_unseeded=True' if self.reuse_unseeded else ''})"

    def store(self) -> Store:
        """Return the store of this process, which is opened at the first call.

        Raises
        ------
        JournalError
            If the folder cannot be used.
        """
        with self._lock:
            if self._store is None or self._pid != os.getpid():
                self._store, self._pid = Store(self.path), os.getpid()
            return self._store


def as_journal(journal: Journal | str | os.PathLike[str] | None) -> Journal | None:
    """Return the journal that an argument names, opened; None for none.

    Raises
    ------
    TypeError
        If it is neither a path nor a journal.
    JournalError
        If the folder cannot be used.
    """
    if journal is None:
        return None
    made = journal if isinstance(journal, Journal) else Journal(journal)
    made.store()
    return made
