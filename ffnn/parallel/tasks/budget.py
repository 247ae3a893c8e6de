"""A worker's share of its machine: threads and accelerators, set by environment variables.

They must be set before anything is imported: BLAS, OpenMP and the engines read them once.
"""

from __future__ import annotations

from collections.abc import Mapping

import joblib

__all__ = ["THREAD_VARIABLES", "cpu_count", "gpu_variables", "thread_variables"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Environment variables that each limit the threads of one library."""


def cpu_count() -> int:
    """Return the number of CPUs that this process may use, given its affinity and its container's quota."""
    return int(joblib.cpu_count())


def thread_variables(n_threads: int, environment: Mapping[str, str], explicit: bool) -> dict[str, str]:
    """Return the environment variables that limit a worker to a number of threads.

    Parameters
    ----------
    n_threads : int
        The number of threads.
    environment : mapping
        The environment that the worker would have.
    explicit : bool
        Whether the user asked for that number; if not, a variable that is already set is left as it is.

    Returns
    -------
    dict of str to str
        The variables to set.
    """
    changes = {name: str(n_threads) for name in THREAD_VARIABLES if explicit or not environment.get(name, "").isdigit()}
    # joblib's own count of CPUs, so that n_jobs=-1 inside a task means the task's share of the machine
    changes["LOKY_MAX_CPU_COUNT"] = str(n_threads)
    changes["PYTHON_CPU_COUNT"] = str(n_threads)
    return changes


def gpu_variables(slot: int, found: list[str]) -> dict[str, str]:
    """Return the environment variables that assign a GPU to a worker, where there are several."""
    changes = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if found else {}
    if len(found) > 1:
        changes["CUDA_VISIBLE_DEVICES"] = found[slot % len(found)]
    return changes
