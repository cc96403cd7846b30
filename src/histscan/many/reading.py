"""Reads the pages of many runs: several runs at once, handed out run by run, in bounded memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from histscan.errors import HistoryError
from histscan.sources.cancellation import Cancellation

__all__ = ["RunPages", "read_ahead"]

_PAGES_AHEAD = 4
"""The most pages that wait for one run: about a megabyte each."""

_RUNS_AHEAD = 2
"""Runs that are being read or wait, for each thread: a thread has work even if the run before is not taken yet."""

_Item = TypeVar("_Item")
_Page = TypeVar("_Page")


@dataclass(frozen=True)
class RunPages(Generic[_Item, _Page]):
    """The pages of one run.

    Attributes:
        place: The place of the run.
        run: The run.
        pages: Its pages, in order. Raises what reading them raised.
    """

    place: int
    run: _Item
    pages: Iterator[_Page]


def read_ahead(
    runs: Iterator[tuple[int, _Item]], open_pages: Callable[[_Item], Iterator[_Page]], threads: int
) -> Generator[RunPages[_Item, _Page], None, None]:
    """Reads the pages of runs in other threads, and returns them run by run, in the order of the runs.

    Args:
        runs: The runs and their places. They are iterated over in the caller's thread.
        open_pages: Returns the pages of a run; called, and iterated over, in another thread.
        threads: How many runs are read at the same time.

    Yields:
        Each run with its pages. Pages that were not taken when the next run is taken are dropped.

    Raises:
        HistoryError: The process was forked meanwhile: the child must read the runs again.
    """
    process = os.getpid()
    feeds: deque[tuple[int, _Item, _Feed[_Page]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="histscan-runs")
    has_ended = False
    try:
        while True:
            while not has_ended and len(feeds) < threads * _RUNS_AHEAD:
                following = next(runs, None)
                if following is None:
                    has_ended = True
                    break
                place, run = following
                feed: _Feed[_Page] = _Feed()
                feeds.append((place, run, feed))
                pool.submit(feed.fill, open_pages, run)
            if not feeds:
                return
            if os.getpid() != process:
                raise HistoryError("the process was forked while runs were read: read them again in the child process")
            place, run, feed = feeds[0]
            yield RunPages(place, run, feed.take_all())
            feeds.popleft()
            feed.cancel()
    finally:
        if os.getpid() == process:
            for _, _, feed in feeds:
                feed.cancel()
            pool.shutdown(wait=False, cancel_futures=True)


class _Feed(Generic[_Page]):
    """The pages of one run, passed from the thread that reads them to the one that takes them."""

    def __init__(self) -> None:
        # Guards all that follows; notified at each change.
        self._changed = threading.Condition()
        self._pages: deque[_Page] = deque()
        self._has_ended = False
        self._is_cancelled = False
        self._error: BaseException | None = None
        self._cancellation = Cancellation()

    def fill(self, open_pages: Callable[[Any], Iterator[_Page]], run: Any) -> None:
        """Reads the pages of a run, and waits while too many of them wait.

        Args:
            open_pages: Returns the pages.
            run: The run.
        """
        error: BaseException | None = None
        try:
            with self._cancellation:
                pages = open_pages(run)
                try:
                    for page in pages:
                        if not self._put(page):
                            break
                finally:
                    close = getattr(pages, "close", None)
                    if close is not None:
                        close()
        except BaseException as raised:
            error = raised
        with self._changed:
            self._error, self._has_ended = error, True
            self._changed.notify_all()

    def _put(self, page: _Page) -> bool:
        with self._changed:
            while len(self._pages) >= _PAGES_AHEAD and not self._is_cancelled:
                self._changed.wait()
            if self._is_cancelled:
                return False
            self._pages.append(page)
            if len(self._pages) == 1:
                self._changed.notify_all()
        return True

    def take_all(self) -> Iterator[_Page]:
        """Takes the pages one by one, as they are read.

        Yields:
            Each page.

        Raises:
            BaseException: What reading the pages raised, after the pages before.
        """
        while True:
            with self._changed:
                while not self._pages and not self._has_ended:
                    self._changed.wait()
                if not self._pages:
                    break
                page = self._pages.popleft()
                if len(self._pages) == _PAGES_AHEAD - 1:
                    self._changed.notify_all()
            yield page
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Ends the reading, without waiting for its end."""
        with suppress(RuntimeError):
            self._cancellation.cancel()
        with self._changed:
            self._is_cancelled = True
            self._pages.clear()
            self._changed.notify_all()
