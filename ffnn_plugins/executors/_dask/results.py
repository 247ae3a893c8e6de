"""Fetching the results of Dask tasks: many at a time, and without waiting for a worker that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from distributed import Client
from distributed.client import Future

__all__ = ["Results"]

_LOOK = 2.0  # seconds between two checks that a result can still arrive
_ASK_AGAIN = 3  # checks after which an available result should have arrived
_MOST = 64  # results that are fetched by one request
_LONG = 1.0  # seconds after which a request no longer delays the next

_Waiter: TypeAlias = "tuple[Future[Any], asyncio.Future[Any]]"


class Results:
    """Fetches results; all of it runs on the client's event loop.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ready: list[_Waiter] = []
        self._requests = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, future: Future[Any], hopeless: Callable[[], bool]) -> Any:
        """Wait for a task, and return its result or raise its exception; None once it can no longer arrive.

        The scheduler may try to fetch a result from a worker that has just died, which takes as long as its attempts
        to connect, while another worker has the result of a second run. So the request is repeated from time to time.
        (Requests are not cancelled, as one may serve several tasks.)

        Parameters
        ----------
        future : distributed.Future
            The task's future.
        hopeless : callable
            Returns whether no worker can run the task any more.
        """
        requests = {asyncio.ensure_future(self._fetch(future))}
        patience, waited = _ASK_AGAIN, 0
        while True:
            done, _ = await asyncio.wait(requests, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            for request in done:
                result, error = request.result()
                if error is not None:
                    raise error
                return result
            waited = waited + 1 if future.status == "finished" else 0
            if waited >= patience:
                requests.add(asyncio.ensure_future(self._fetch(future)))
                patience, waited = 2 * patience, 0
            elif hopeless():
                return None

    async def _fetch(self, future: Future[Any]) -> tuple[Any, BaseException | None]:
        """Return the result or the exception, which is not raised as it might never be retrieved."""
        try:
            await future.exception()  # waits, and fetches nothing
            if future.status != "finished":
                return await future.result(), None
            waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._ready.append((future, waiter))
            if self._requests == 0:
                self._request()
            return await waiter, None
        except BaseException as error:
            return None, error

    def _request(self) -> None:
        """Fetch the results that became ready during the last request."""
        batch, self._ready = self._ready[:_MOST], self._ready[_MOST:]
        if batch:
            self._requests += 1
            self._keep(asyncio.create_task(self._gather(batch)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Keep a reference to a task, as the event loop does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather(self, batch: list[_Waiter]) -> None:
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._requests -= 1
                self._request()

        timer = asyncio.get_running_loop().call_later(_LONG, release)
        try:
            results = await self._client.gather([future for future, _ in batch])
        except BaseException:  # one of them failed; fetch each by itself
            for future, waiter in batch:
                self._keep(asyncio.create_task(_alone(future, waiter)))
        else:
            for (_, waiter), result in zip(batch, results, strict=True):
                waiter.set_result(result)
        finally:
            timer.cancel()
            release()


async def _alone(future: Future[Any], waiter: asyncio.Future[Any]) -> None:
    try:
        waiter.set_result(await future.result())
    except BaseException as error:
        waiter.set_exception(error)
