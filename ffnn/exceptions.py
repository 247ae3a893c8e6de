"""The exceptions and warnings of ffnn.

Errors about a value also derive from the built-in exception that scikit-learn users catch for it, so that
``except ValueError`` keeps working::

    Exception
    └── FfnnError
        ├── PluginError
        │   ├── UnknownPluginError      (also ValueError)
        │   ├── PluginConflictError
        │   └── PluginLoadError
        ├── EngineNotInstalledError     (also ValueError)
        ├── UnsupportedError            (also ValueError)
        ├── ForkedEngineError           (also RuntimeError)
        ├── TrainingDivergedError       (also ValueError and ArithmeticError)
        ├── PersistenceError            (also ValueError)
        ├── ExportError                 (also ValueError)
        ├── JournalError                (also ValueError)
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
    ├── JournalWarning
    └── PluginWarning
"""

from __future__ import annotations

import pickle

__all__ = [
    "EngineNotInstalledError",
    "ExecutorError",
    "ExportError",
    "FfnnError",
    "ForkedEngineError",
    "HostError",
    "HostKeyError",
    "HostWarning",
    "JournalError",
    "JournalWarning",
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
    """Base class of ffnn's errors."""


class PluginError(FfnnError):
    """A plugin is broken, or its name is unknown or ambiguous."""


class UnknownPluginError(PluginError, ValueError):
    """No plugin of that kind is registered under the given name."""


class PluginConflictError(PluginError):
    """Several distributions registered the same name, which is therefore ambiguous."""


class PluginLoadError(PluginError):
    """A registered plugin's class could not be imported."""


class EngineNotInstalledError(FfnnError, ValueError):
    """The engine that a builder needs is not installed."""


class UnsupportedError(FfnnError, ValueError):
    """A builder does not have a part that the network or its solver needs."""


class ForkedEngineError(FfnnError, RuntimeError):
    """The process was forked from one in which the engine had run, so it cannot use the engine."""


class TrainingDivergedError(FfnnError, ValueError, ArithmeticError):
    """A loss became infinite or NaN, or weights became so large that the network's scores overflow."""


class PersistenceError(FfnnError, ValueError):
    """An estimator cannot be saved, or a file is damaged, from a later ffnn, or was not written by ffnn."""


class ExportError(FfnnError, ValueError):
    """An estimator cannot be exported in that format."""


class JournalError(FfnnError, ValueError):
    """A folder cannot be used as a journal: it is a file, another user's, of a later ffnn, or cannot be written to."""


class ExecutorError(FfnnError):
    """A task could not be run on a worker, or its result was lost."""


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
    """A host's SSH key is unknown, or differs from the known one."""


class VersionMismatchError(HostError):
    """A host has other versions of Python or of libraries that affect results."""


class WorkerStartError(ExecutorError):
    """A worker's process could not be started, or ended before it was ready."""


class WorkerDiedError(ExecutorError):
    """A worker process died while it ran a task, on each of the allowed tries.

    Attributes
    ----------
    worker : str
        The worker's name.
    exit_code : int or None
        The exit code, or the negative signal number if a signal killed the process.
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
    """A task, or its result, cannot be pickled or unpickled; the task is never retried."""


class TaskFailedError(ExecutorError):
    """A task raised an exception that cannot be raised here: it cannot be pickled, or would end this process."""


class HostWarning(UserWarning):
    """A host, or one of its workers, is not used; the others continue."""


class JournalWarning(UserWarning):
    """A result is not recorded, or what is recorded cannot be used again; the search goes on."""


class PluginWarning(UserWarning):
    """A plugin, or a part of it, is ignored; the rest of the program is unaffected."""
