"""joblib's private names that ffnn uses.

joblib documents how a backend is registered, and not what it derives from. Its own distributed backends (Dask's, Ray's)
import these, so they stay.
"""

from __future__ import annotations

from joblib._parallel_backends import FallbackToBackend, ParallelBackendBase, SequentialBackend

__all__ = ["FallbackToBackend", "ParallelBackendBase", "SequentialBackend"]
