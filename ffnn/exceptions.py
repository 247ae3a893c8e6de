"""Every error and warning that ffnn raises under its own name.

What is wrong with a value also derives from the built-in that scikit-learn users catch for it
(``ValueError``), so that ``except ValueError`` keeps working::

    Exception
    └── FfnnError
        ├── PluginError
        │   ├── UnknownPluginError      (also ValueError)
        │   ├── PluginConflictError
        │   └── PluginLoadError
        ├── EngineNotInstalledError     (also ValueError)
        ├── UnsupportedError            (also ValueError)
        ├── TrainingDivergedError       (also ArithmeticError)
        ├── PersistenceError            (also ValueError)
        ├── ExportError                 (also ValueError)
        └── ExecutorError
            ├── HostError
            │   ├── HostKeyError
            │   └── VersionMismatchError
            ├── WorkerStartError
            ├── WorkerDiedError
            ├── TaskTimeoutError        (also TimeoutError)
            ├── TaskPicklingError       (also pickle.PicklingError)
            └── TaskFailedError

    UserWarning
    ├── HostWarning
    └── PluginWarning
"""

from __future__ import annotations

import pickle

__all__ = [
    "EngineNotInstalledError",
    "ExecutorError",
    "ExportError",
    "FfnnError",
    "HostError",
    "HostKeyError",
    "HostWarning",
    "PersistenceError",
    "PluginConflictError",
    "PluginError",
    "PluginLoadError",
    "PluginWarning",
    "TaskFailedError",
    "TaskPicklingError",
    "TaskTimeoutError",
    "TrainingDivergedError",
    "UnknownPluginError",
    "UnsupportedError",
    "VersionMismatchError",
    "WorkerDiedError",
    "WorkerStartError",
]


class FfnnError(Exception):
    """Root of ffnn's own errors."""


class PluginError(FfnnError):
    """Something is wrong with a plugin, or with the name by which one was asked for."""


class UnknownPluginError(PluginError, ValueError):
    """No plugin of that kind is registered under the name that was asked for."""


class PluginConflictError(PluginError):
    """Two distributions registered the same name, so that it says neither's."""


class PluginLoadError(PluginError):
    """A registered plugin's class could not be imported."""


class EngineNotInstalledError(FfnnError, ValueError):
    """The engine that a builder needs is not installed."""


class UnsupportedError(FfnnError, ValueError):
    """A builder does not have what a network, or its solver, is made of."""


class TrainingDivergedError(FfnnError, ArithmeticError):
    """The training loss became infinite or NaN."""


class PersistenceError(FfnnError, ValueError):
    """An estimator cannot be saved in a file, or a file is damaged, from a later ffnn, or none of ffnn's."""


class ExportError(FfnnError, ValueError):
    """An estimator cannot be exported in that format."""


class ExecutorError(FfnnError):
    """A task did not get its chance on a worker, or did not come back from it."""


class HostError(ExecutorError):
    """A host cannot be reached, or cannot run workers.

    Attributes
    ----------
    host : str
        The host's name.
    """

    def __init__(self, message: str, host: str = "") -> None:
        super().__init__(message)
        self.host = host


class HostKeyError(HostError):
    """A host's SSH key is unknown, or is not the one that is known."""


class VersionMismatchError(HostError):
    """A host has other versions of Python or of the libraries that results depend on."""


class WorkerStartError(ExecutorError):
    """A worker's process could not be started, or ended before it was ready."""


class WorkerDiedError(ExecutorError):
    """A worker's process died while it ran a task, as often as the task may be tried.

    Attributes
    ----------
    worker : str
        The worker's name.
    exit_code : int or None
        The exit code; the negative number of the signal if one killed the process.
    stderr : str
        The last lines that the process wrote to its standard error.
    """

    def __init__(self, message: str, worker: str = "", exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(message)
        self.worker = worker
        self.exit_code = exit_code
        self.stderr = stderr


class TaskTimeoutError(ExecutorError, TimeoutError):
    """A task ran longer than ``task_timeout`` and was ended."""


class TaskPicklingError(ExecutorError, pickle.PicklingError):
    """A task, or its result, cannot be pickled or unpickled, so that it cannot travel; it is never retried."""


class TaskFailedError(ExecutorError):
    """A task raised what cannot be raised here again: what cannot be pickled, or would end this process."""


class HostWarning(UserWarning):
    """A host was left out; the others go on."""


class PluginWarning(UserWarning):
    """A plugin was left out, wholly or in part; the rest of the program is unaffected."""
