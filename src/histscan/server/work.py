"""Runs the work of requests in threads, and cancels it when the client leaves or the server stops."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.types import Receive

__all__ = ["Cancelled", "ClientLeftError", "Workers", "cancellable", "check_cancelled"]

MOST_THREADS = 16
SHORT_WORK = 0.2
"""Seconds of work after which the server starts to watch whether the client is still there."""

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")


class Cancelled(BaseException):
    """Nobody waits for the result any more. A BaseException, as GraphQL turns every Exception into a field's error."""


class ClientLeftError(Exception):
    """The client closed the connection before its response."""


class _Work:
    """The work of one request."""

    def __init__(self) -> None:
        self.is_cancelled = False


_current: contextvars.ContextVar[_Work | None] = contextvars.ContextVar("histscan_server_work", default=None)


def check_cancelled() -> None:
    """Ends the work of this thread if it is cancelled. Everything that takes long must call this often.

    Raises:
        Cancelled: It is.
    """
    work = _current.get()
    if work is not None and work.is_cancelled:
        raise Cancelled


def cancellable(items: Iterable[_Item], every: int = 1) -> Iterator[_Item]:
    """Yields items, and checks between them.

    Args:
        items: The items.
        every: The number of items between two checks.

    Yields:
        The items.

    Raises:
        Cancelled: The work is cancelled.
    """
    for number, item in enumerate(items):
        if number % every == 0:
            check_cancelled()
        yield item


class Workers:
    """Threads for the work of requests.

    Args:
        limit: The seconds that the work of a request may take.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="histscan-serve")
        self._running: set[_Work] = set()
        self._has_stopped = False

    async def run(self, receive: Receive, function: Callable[[], _Result]) -> _Result:
        """Runs work in a thread.

        Args:
            receive: The request's ASGI function, whose body has been read: it reports that the client left.
            function: The work; its result is never None.

        Returns:
            Its result.

        Raises:
            ClientLeftError: The client left before, or the server stops; the work is cancelled.
            TimeoutError: The work took too long, and is cancelled.
        """
        work = _Work()

        def start() -> _Result | None:
            _current.set(work)
            try:
                check_cancelled()
                return function()
            except Cancelled:
                return None

        if self._has_stopped:
            raise ClientLeftError
        loop = asyncio.get_running_loop()
        self._running.add(work)
        future = loop.run_in_executor(self._pool, start)
        watchers: list[asyncio.Task[Exception]] = []
        # Most work is done before: a task for each request would cost more than many a query.
        timer = loop.call_later(
            SHORT_WORK, lambda: watchers.append(loop.create_task(_watch(receive, future, self._limit)))
        )
        try:
            result = await future
        except asyncio.CancelledError:
            if watchers and watchers[0].done():
                raise watchers[0].result() from None
            raise
        finally:
            timer.cancel()
            # Without effect on work that is done.
            work.is_cancelled = True
            self._running.discard(work)
            for watcher in watchers:
                watcher.cancel()
        if result is None:
            # The server stops.
            raise ClientLeftError
        return result

    def stop(self) -> None:
        """Cancels all work, and accepts none any more. Does not wait for it."""
        self._has_stopped = True
        for work in list(self._running):
            work.is_cancelled = True


async def _watch(receive: Receive, future: asyncio.Future[Any], limit: float) -> Exception:
    """Cancels a future when the client leaves or the time is over, and returns the reason."""
    reason: Exception = ClientLeftError()
    try:
        await asyncio.wait_for(_wait_until_left(receive), limit)
    except asyncio.TimeoutError:
        reason = TimeoutError()
    future.cancel()
    return reason


async def _wait_until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
