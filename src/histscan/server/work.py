"""Runs the work of requests in threads, and cancels it when the client leaves or the server stops."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from starlette.types import Receive

__all__ = ["Cancelled", "ClientLeftError", "Workers", "cancellable", "check_cancelled"]

MOST_THREADS = 32
SHORT_WORK = 0.02
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
    """Threads for the work of requests."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="histscan-serve")
        self._running: set[_Work] = set()

    async def run(self, receive: Receive, function: Callable[[], _Result]) -> _Result:
        """Runs work in a thread.

        Args:
            receive: The request's ASGI function, whose body has been read: it reports that the client left.
            function: The work; its result is never None.

        Returns:
            Its result.

        Raises:
            ClientLeftError: The client left before, or the server stops; the work is cancelled.
        """
        work = _Work()

        def start() -> _Result | None:
            _current.set(work)
            try:
                check_cancelled()
                return function()
            except Cancelled:
                return None

        self._running.add(work)
        future = asyncio.get_running_loop().run_in_executor(self._pool, contextvars.copy_context().run, start)
        watcher: asyncio.Task[None] | None = None
        try:
            await asyncio.wait((future,), timeout=SHORT_WORK)
            if not future.done():
                watcher = asyncio.create_task(_wait_until_left(receive))
                await asyncio.wait((future, watcher), return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise ClientLeftError
            result = future.result()
            if result is None:
                # The server stops.
                raise ClientLeftError
            return result
        finally:
            # Without effect on work that is done.
            work.is_cancelled = True
            self._running.discard(work)
            future.cancel()
            if watcher is not None:
                watcher.cancel()
                with suppress(asyncio.CancelledError):
                    await watcher

    def stop(self) -> None:
        """Cancels all work, and accepts none any more. Does not wait for it."""
        for work in list(self._running):
            work.is_cancelled = True
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _wait_until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
