"""Fetches pages in threads, ahead of the scan, which takes them in order.

The threads hold no reference to the scan, so that it can be collected while they run; collecting it cancels their
requests. They are started when there is a page to fetch, and end when there is none: no thread waits for a scan that
nobody reads. A forked process has none of its parent's threads, and must not use its fetcher (`is_forked`).
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
from histscan.sources.cancellation import Cancellation, RequestCancelledError, current_cancellation

__all__ = ["PageFetcher", "PageSource", "PageTimeoutError"]

_FetchPage = Callable[[Window], Any]


def _is_never_refusal(_error: BaseException) -> bool:
    return False


class PageTimeoutError(Exception):
    """A page did not arrive in time. The scan converts this to a `HistoryDeadlineError`."""


class PageSource(NamedTuple):
    """How to fetch pages.

    Attributes:
        fetch: Fetches a page; must not refer to the scan.
        threads: The most pages that may be fetched at once.
        first_alone: True if the first page must arrive before others are requested: some sources initialise during
            their first request.
        is_refusal: Returns True if an error of `fetch` means that the server refused the request, rather than failed
            to answer it. The window is then requested again, narrower, if it was wider than a page.
    """

    fetch: _FetchPage
    threads: int
    first_alone: bool
    is_refusal: Callable[[BaseException], bool] = _is_never_refusal


class _Fetch:
    """One requested page. Its state needs no lock: one thread sets it before `_wakeups`, and another reads it after."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.cancellation = Cancellation()
        self._page: Any = None
        self._error: BaseException | None = None
        self._is_done = False
        # SimpleQueue.put() is reentrant, so a finaliser may call it at any point; Event.set() is not.
        self._wakeups: SimpleQueue[None] = SimpleQueue()

    def run(self, fetch_page: _FetchPage) -> None:
        try:
            with self.cancellation:
                self.cancellation.check()
                self._page = fetch_page(self.window)
        except BaseException as error:
            self._error = error
        self._is_done = True
        self._wakeups.put(None)

    def cancel(self) -> None:
        self.cancellation.cancel()
        self._wakeups.put(None)

    def wait(self, timeout: float | None) -> Any:
        """Waits for the page and returns it, or raises the error of its request. May be called once."""
        if not self._is_done:
            try:
                waiting = current_cancellation()
                if waiting is None:
                    self._wakeups.get(timeout=timeout)
                else:
                    waiting.wait_on(self._wakeups, timeout)
            except Empty:
                raise PageTimeoutError from None
        # Errors of a cancelled request are ignored.
        if self.cancellation.is_cancelled:
            raise RequestCancelledError
        page, self._page = self._page, None
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return page
        finally:
            # The error's traceback refers to this frame: without this, there would be a reference cycle.
            del error


class _Work:
    """The state that the threads of one fetcher share. `cancel` takes no lock: it may run within garbage collection."""

    def __init__(self, fetch_page: _FetchPage, threads: int) -> None:
        self.process = os.getpid()
        self._fetch_page = fetch_page
        self._threads = threads
        # Guards `_working`, and that a thread only ends when nothing is waiting.
        self._lock = threading.Lock()
        self._working = 0
        self._is_cancelled = False
        self._waiting: deque[_Fetch] = deque()
        # All requested pages that were not taken yet, in order.
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
            # The interpreter is shutting down, or the system has no threads left: take() fetches the page.
            with self._lock:
                self._working -= 1

    def run_here_if_idle(self) -> None:
        """Fetches one page in the calling thread if no thread could be started."""
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
    """Fetches pages in several threads, and returns them in the order of the requests.

    Collecting it cancels all requests.

    Args:
        source: The source of the pages.
        threads: The most pages to fetch at once.
        first: First step of the first page.
        stop_step: The scan's end, exclusive.
        page_size: Steps of the scan's ordinary windows.
    """

    def __init__(self, source: PageSource, threads: int, first: int, stop_step: int, page_size: int) -> None:
        self.stop_step = stop_step
        self.page_size = page_size
        self.next_first = first
        """First step of the next page to request."""
        self.is_refusal = source.is_refusal
        self._work = _Work(source.fetch, threads)
        self._finalizer = weakref.finalize(self, self._work.cancel)
        self._finalizer.atexit = False

    def __len__(self) -> int:
        return len(self._work.fetches)

    @property
    def first(self) -> int:
        """First step of the next page to take."""
        fetches = self._work.fetches
        return fetches[0].window.first if fetches else self.next_first

    @property
    def window(self) -> Window:
        """The window of the next page to take; there must be one."""
        return self._work.fetches[0].window

    @property
    def steps_not_taken(self) -> int:
        """Steps of the pages that were requested and not taken yet."""
        return sum(fetch.window.width for fetch in self._work.fetches)

    @property
    def is_forked(self) -> bool:
        """True if it belongs to the process from which this one was forked."""
        return self._work.process != os.getpid()

    def request(self, window: Window) -> None:
        """Requests a page; returns at once.

        Args:
            window: The page's steps, which must begin at `next_first`.
        """
        self.next_first = window.next_first
        self._work.add(_Fetch(window))

    def take(self, timeout: float | None) -> Any:
        """Waits for the oldest requested page.

        Args:
            timeout: Seconds to wait at most; None for no limit.

        Returns:
            What the source returned.

        Raises:
            PageTimeoutError: The page did not arrive in time.
            RequestCancelledError: Another thread cancelled it.
            BaseException: The exception that the source raised.
        """
        self._work.run_here_if_idle()
        fetch = self._work.fetches[0]
        page = fetch.wait(timeout)
        self._work.fetches.popleft()
        return page

    def cancel(self) -> None:
        """Cancels all requests; returns at once."""
        self._finalizer()
