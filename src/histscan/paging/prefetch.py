"""Fetches pages in threads, ahead of whoever takes them in order.

The threads know the requests and not the scan, so that a scan can be collected while they work; that calls off what
they do. They are started when there is something to fetch, and end when there is nothing: none waits for a scan that
does not go on. A forked process has none of its parent's threads, and must leave its fetcher alone (`is_foreign`).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from histscan.paging.windows import Window
from histscan.sources.cancellation import Cancellation, RequestCancelledError

__all__ = ["PageFetcher", "PageSource", "PageTimeoutError"]

_FetchPage = Callable[[Window], Any]


def _is_never_refusal(_error: BaseException) -> bool:
    return False


class PageTimeoutError(Exception):
    """A page was not there in time. Its scan raises an error that says more."""


class PageSource(NamedTuple):
    """How pages are fetched.

    Attributes:
        fetch: Fetches a page; must not refer to the scan.
        threads: How many pages may be fetched at once.
        primes: Whether the first page is to be fetched alone: some sources make ready during their first request.
        is_refusal: Returns True if an error of `fetch` says that the server refused the request, rather than failed
            to answer it. The window is then requested again, narrower, if it was wider than a page.
    """

    fetch: _FetchPage
    threads: int
    primes: bool
    is_refusal: Callable[[BaseException], bool] = _is_never_refusal


class _Fetch:
    """One page on its way."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.cancellation = Cancellation()
        self._page: Any = None
        self._error: BaseException | None = None
        self._is_done = False
        # Not an event: this may be put to from garbage collection at any point, even within its own methods.
        self._news: SimpleQueue[None] = SimpleQueue()

    def run(self, fetch_page: _FetchPage) -> None:
        try:
            with self.cancellation:
                self.cancellation.check()
                self._page = fetch_page(self.window)
        except BaseException as error:
            self._error = error
        self._is_done = True
        self._news.put(None)

    def cancel(self) -> None:
        self.cancellation.cancel()
        self._news.put(None)

    def wait(self, timeout: float | None) -> Any:
        """Returns the page, once; or raises the error that there is in its place."""
        if not self._is_done:
            try:
                self._news.get(timeout=timeout)
            except Empty:
                raise PageTimeoutError from None
        # What went wrong with a request that was called off is of no interest.
        if self.cancellation.is_cancelled:
            raise RequestCancelledError
        page, self._page = self._page, None
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return page
        finally:
            # The error knows this frame.
            del error


class _Work:
    """What the threads of one fetcher share. Calling off takes no lock: it may happen within garbage collection."""

    def __init__(self, fetch_page: _FetchPage, threads: int) -> None:
        self.process = os.getpid()
        self._fetch_page = fetch_page
        self._threads = threads
        self._working = 0
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._waiting: deque[_Fetch] = deque()
        # All that were not taken yet, in order.
        self.fetches: deque[_Fetch] = deque()

    def add(self, fetch: _Fetch) -> None:
        self.fetches.append(fetch)
        if self._is_cancelled:
            fetch.cancel()
            return
        with self._lock:
            self._waiting.append(fetch)
            if self._working >= self._threads:
                return
            self._working += 1
        try:
            threading.Thread(target=self._run, name="histscan-prefetch", daemon=True).start()
        except RuntimeError:
            # The interpreter is shutting down, or the system has no more threads.
            with self._lock:
                self._working -= 1

    def run_here_if_nobody_does(self) -> None:
        with self._lock:
            if self._working or not self._waiting:
                return
            self._working += 1
        self._run(just_one=True)

    def cancel(self) -> None:
        if self.process != os.getpid():
            return
        self._is_cancelled = True
        self._waiting.clear()
        for fetch in tuple(self.fetches):
            fetch.cancel()

    def _run(self, just_one: bool = False) -> None:
        while True:
            with self._lock:
                try:
                    fetch = self._waiting.popleft()
                except IndexError:
                    self._working -= 1
                    return
            fetch.run(self._fetch_page)
            del fetch
            if just_one:
                with self._lock:
                    self._working -= 1
                return


class PageFetcher:
    """Pages in the order in which they were asked for, fetched at once in several threads.

    Collecting it calls off what is under way.

    Args:
        source: Where the pages come from.
        threads: How many pages to fetch at once.
        first: First step of the first page.
        stop_step: Where the scan ends.
        page_size: Steps of the scan's ordinary windows.
    """

    def __init__(self, source: PageSource, threads: int, first: int, stop_step: int, page_size: int) -> None:
        self.stop_step = stop_step
        self.page_size = page_size
        self.next_first = first
        """First step of the page to be asked for next."""
        self.is_refusal = source.is_refusal
        self._work = _Work(source.fetch, threads)
        self._finalizer = weakref.finalize(self, self._work.cancel)
        self._finalizer.atexit = False

    def __len__(self) -> int:
        return len(self._work.fetches)

    @property
    def first(self) -> int:
        """First step of the page to be taken next."""
        fetches = self._work.fetches
        return fetches[0].window.first if fetches else self.next_first

    @property
    def window(self) -> Window:
        """The window of the page to be taken next; there must be one."""
        return self._work.fetches[0].window

    @property
    def steps_not_taken(self) -> int:
        """Steps of the pages asked for and not taken yet."""
        return sum(fetch.window.width for fetch in self._work.fetches)

    @property
    def is_foreign(self) -> bool:
        """Whether it is that of the process which this one was forked from."""
        return self._work.process != os.getpid()

    def ask(self, window: Window) -> None:
        """Has a page fetched.

        Args:
            window: The page's steps, which begin at `next_first`.
        """
        self.next_first = window.next_first
        self._work.add(_Fetch(window))

    def take(self, timeout: float | None) -> Any:
        """Waits for the page that was asked for first.

        Args:
            timeout: Seconds to wait at most; None for any time.

        Returns:
            What the source returned.

        Raises:
            PageTimeoutError: It is not there in time.
            RequestCancelledError: It was called off by another thread.
            BaseException: What the source raised.
        """
        self._work.run_here_if_nobody_does()
        fetch = self._work.fetches[0]
        page = fetch.wait(timeout)
        self._work.fetches.popleft()
        return page

    def cancel(self) -> None:
        """Calls off everything; returns at once."""
        self._finalizer()
