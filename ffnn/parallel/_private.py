"""joblib's private names that ffnn uses.

joblib documents how to register a backend, but not its base class. The distributed backends of Dask and Ray import
the classes, so they are unlikely to change.
"""

from __future__ import annotations

from typing import Any

from joblib._parallel_backends import FallbackToBackend, ParallelBackendBase, SequentialBackend

__all__ = ["FallbackToBackend", "ParallelBackendBase", "SequentialBackend", "dispatch_more"]


def dispatch_more(parallel: Any) -> None:
    """Make a ``Parallel`` submit its next batch, as it does whenever one is done.

    ``Parallel._lock`` and ``_original_iterator``, and the method ``dispatch_next`` that joblib's own callbacks call.
    """
    with parallel._lock:
        if parallel._original_iterator is not None and not parallel._aborting:
            parallel.dispatch_next()
