"""The base class of every executor: its optional part, with defaults."""

from __future__ import annotations

import abc
import concurrent.futures
from collections.abc import Sequence
from typing import Any, ClassVar

__all__ = ["NO_SHARING", "BaseExecutor"]

NO_SHARING = (
    "share=True is for executors whose workers have a folder in common; {} has none. Wrap the transformers instead, "
    "ffnn.cached(transformer), or use one of ffnn's own executors."
)
"""The error of an executor that cannot share; it takes the name of its class."""


class BaseExecutor(concurrent.futures.Executor, abc.ABC):
    """The optional part of an executor: preparation, diagnosis and statistics, with defaults for all but `n_workers`.

    Pools, joblib's backend and ``ffnn doctor`` use nothing else besides ``submit`` and ``shutdown``. An executor that
    derives from ``concurrent.futures.Executor`` alone is wrapped in
    :class:`ffnn.parallel.foreign.ForeignExecutor`.
    """

    #: Whether tasks run in threads of the process that submits them. They then share its objects, which are not
    #: pickled; one that runs cannot be ended, and one that kills its process kills everything.
    in_process: ClassVar[bool] = False

    #: Whether what a task sends by ``send_event`` arrives at the listeners of its future.
    has_events: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time."""

    @property
    def n_workers_left(self) -> int:
        """The number of workers in use at the moment: all but those left out because they or their host failed."""
        return self.n_workers

    @property
    def n_hosts(self) -> int:
        """The number of hosts."""
        return 1

    @property
    def n_left_out(self) -> int:
        """The number of hosts left out at the moment because they failed."""
        return 0

    @property
    def n_retries(self) -> int:
        """The number of times that a task had to be started again because its worker was lost."""
        return 0

    @property
    def bytes_sent(self) -> int:
        """The number of bytes sent to workers; 0 if the executor does not count them."""
        return 0

    @property
    def dashboard_link(self) -> str | None:
        """The address of a page that shows the tasks; None if there is none."""
        return None

    def prepare(self) -> None:
        """Connect and check everything before the first task; raise an error if no task could run."""

    def share(self) -> None:
        """Share fitted transformers among the workers of each host; called before the first worker starts.

        Raises
        ------
        TypeError
            If the workers of a host have no folder in common, which is the default.
        """
        raise TypeError(NO_SHARING.format(type(self).__name__))

    def diagnose(self) -> Sequence[Any] | None:
        """Check each host and return one :class:`~ffnn.parallel.slots.diagnosis.Diagnosis` per host.

        None, the default, means that the executor cannot tell: ``ffnn doctor`` then runs a task on it.
        """
        return None
