"""joblib's private names that ffnn uses.

joblib documents how to register a backend, but not its base class. The distributed backends of Dask and Ray import
these names, so they are unlikely to change.
"""

from __future__ import annotations

from joblib._parallel_backends import FallbackToBackend, ParallelBackendBase, SequentialBackend

__all__ = ["FallbackToBackend", "ParallelBackendBase", "SequentialBackend"]
