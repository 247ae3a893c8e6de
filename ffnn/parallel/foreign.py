"""An adapter for executors that do not derive from :class:`ffnn.executor.Executor`."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from ffnn._utils.base_executor import NO_SHARING
from ffnn.executor import BaseExecutor
from ffnn.parallel.tasks.budget import cpu_count

__all__ = ["ForeignExecutor", "adapt", "unwrap"]

P = ParamSpec("P")
T = TypeVar("T")


def _forwarded(name: str) -> Any:
    """Return a property that reads the wrapped executor's attribute, or else the default of the base class."""
    default: Any = getattr(BaseExecutor, name)
    return property(lambda self: getattr(self.wrapped, name, None) or default.fget(self), doc=default.__doc__)


class ForeignExecutor(BaseExecutor):
    """Adds the optional part of an executor to a ``concurrent.futures.Executor``, whose own attributes take precedence.

    Parameters
    ----------
    wrapped : concurrent.futures.Executor
        The executor.
    """

    def __init__(self, wrapped: concurrent.futures.Executor) -> None:
        self.wrapped: Any = wrapped

    @property
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time; one per CPU if the executor does not say."""
        return int(getattr(self.wrapped, "n_workers", None) or cpu_count())

    n_workers_left: property = _forwarded("n_workers_left")
    n_hosts: property = _forwarded("n_hosts")
    n_left_out: property = _forwarded("n_left_out")
    n_retries: property = _forwarded("n_retries")
    bytes_sent: property = _forwarded("bytes_sent")
    dashboard_link: property = _forwarded("dashboard_link")

    def prepare(self) -> None:
        """Call the executor's own ``prepare``, if it has one."""
        if hasattr(self.wrapped, "prepare"):
            self.wrapped.prepare()

    def share(self) -> None:
        """Call the executor's own ``share``, if it has one."""
        if not hasattr(self.wrapped, "share"):
            raise TypeError(NO_SHARING.format(type(self.wrapped).__name__))
        self.wrapped.share()

    def diagnose(self) -> Sequence[Any] | None:
        """Call the executor's own ``diagnose``, if it has one."""
        return list(self.wrapped.diagnose()) if hasattr(self.wrapped, "diagnose") else None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[T]:
        """Submit a task to the executor."""
        future: concurrent.futures.Future[T] = self.wrapped.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut the executor down."""
        self.wrapped.shutdown(wait, cancel_futures=cancel_futures)


def adapt(executor: concurrent.futures.Executor) -> BaseExecutor:
    """Return an executor as it is if it derives from ffnn's base class, else wrapped."""
    return executor if isinstance(executor, BaseExecutor) else ForeignExecutor(executor)


def unwrap(executor: BaseExecutor) -> concurrent.futures.Executor:
    """Return the executor that the user gave to :func:`adapt`."""
    return executor.wrapped if isinstance(executor, ForeignExecutor) else executor
