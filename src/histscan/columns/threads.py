"""From a scan's pages to chunks of columns with several threads, of which the caller's is one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Any

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.page import Page
from histscan.columns.chunks import ROWS_PER_CHUNK, add_page, build_chunks, end_pages, likely_rows
from histscan.errors import HistoryError

__all__ = ["build_chunks_in_threads", "default_threads"]

_PAGES_PER_GROUP = 8
"""How many pages a thread builds one chunk of, at most: fewer where they have more rows than a chunk should have."""

_PAGES_PER_FIRST_GROUP = 2


def default_threads() -> int:
    """How many threads build columns where the caller does not say: one for each core, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min(4, cores)


def build_chunks_in_threads(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, threads: int | None = None
) -> Iterator[ColumnChunk]:
    """Builds columns in several threads, of which the caller's is one; it fetches the pages, too.

    Args:
        pages: The scan's pages.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        threads: How many threads; one alone builds each page as it comes. None for one on each core, four at most.

    Yields:
        Chunks in the order of the pages; one even where there are no rows, as `build_chunks`. How many rows each has
        depends on the pages and on the number of threads, not on how fast these are.

    Raises:
        HistoryError: A page can't be read; of several, the first in the scan's order. Or the process was forked since
            the generator began: the child has to begin anew.
    """
    threads = default_threads() if threads is None else threads
    if threads <= 1:
        yield from build_chunks(pages, keys=keys, flatten=flatten)
        return
    process = os.getpid()
    groups = _PageGroups(iter(pages), threads)
    waiting: deque[_GroupTask] = deque()
    # Among them are those that are built and wait for their turn.
    most_waiting = 3 * threads
    others = _other_threads(threads - 1)
    is_first = True
    try:
        while True:
            # One for each thread, and one more: the others should have enough to do until this one is done with its
            # own, and this one should not be long in beginning.
            while len(waiting) < most_waiting and sum(not task.has_begun for task in waiting) <= threads:
                group = groups.take()
                if group is None:
                    break
                task = _GroupTask(group, keys, flatten)
                waiting.append(task)
                task.offer(others)
            if not waiting:
                break
            if os.getpid() != process:
                # The other threads are not here, and their pages may be half read.
                raise HistoryError("the process was forked while threads built columns: read them anew in the child")
            # Whoever is free takes the first group that nobody has begun with: so all are ready at about the same time.
            if not waiting[0].is_done and any(task.run() for task in waiting):
                continue
            for chunk in waiting.popleft().chunks():
                is_first = False
                yield chunk
    finally:
        begun = [task for task in waiting if not task.withdraw()]
        if os.getpid() == process:
            for task in begun:
                task.end()
        groups.end()
    if groups.failure is not None:
        raise groups.failure
    if is_first:
        yield ColumnBuilder(keys, flatten=flatten).take_chunk()


class _PageGroups:
    """Parts pages into groups, each for one thread to build: ever larger ones, and ever smaller ones towards the end.

    Args:
        pages: The pages.
        threads: How many threads there are.

    Attributes:
        failure: Why there are no more pages, where that is not their end.
    """

    def __init__(self, pages: Iterator[Page | list[Any]], threads: int) -> None:
        self._pages = pages
        self._threads = threads
        self._in_hand: deque[Page | list[Any]] = deque()
        self._size = 0
        self._largest = 0
        self._has_ended = False
        self.failure: Exception | None = None

    def take(self) -> list[Page | list[Any]] | None:
        """Fetches pages, and returns the next group; None behind the last one."""
        if not self._size:
            self._fetch(1)
            if not self._in_hand:
                return None
            self._largest = max(1, min(_PAGES_PER_GROUP, ROWS_PER_CHUNK // max(1, likely_rows(self._in_hand[0]))))
            # The other threads should not have to wait until there is much in hand.
            self._size = min(self._largest, _PAGES_PER_FIRST_GROUP)
            self._fetch(self._size)
        else:
            self._size = min(self._largest, 2 * self._size)
            # It has to be known in time that the end is near.
            self._fetch((self._threads + 1) * self._size)
        size = self._size
        if self._has_ended:
            # What is left for each thread, in two or three groups: so none is long at work when the others are done.
            size = min(size, -(-2 * len(self._in_hand) // (3 * self._threads)))
        group = [self._in_hand.popleft() for _ in range(min(size, len(self._in_hand)))]
        return group or None

    def _fetch(self, count: int) -> None:
        """Fetches pages until there are so many in hand, or no more."""
        while not self._has_ended and len(self._in_hand) < count:
            try:
                self._in_hand.append(next(self._pages))
            except StopIteration:
                self._has_ended = True
            except Exception as error:
                # For the caller to raise once the pages before it have had their turn: they may fail, too.
                self.failure, self._has_ended = error, True

    def end(self) -> None:
        """Ends the generator of pages."""
        end_pages(self._pages)


class _GroupTask:
    """A group of pages, which one thread makes chunks of: the first one to begin.

    Args:
        pages: The group.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
    """

    def __init__(self, pages: list[Page | list[Any]], keys: Sequence[str] | None, flatten: bool) -> None:
        self._pages = pages
        self._keys = keys
        self._flatten = flatten
        self._begun = Lock()
        self._chunks: Future[list[ColumnChunk]] = Future()
        self._offer: Future[bool] | None = None

    @property
    def has_begun(self) -> bool:
        return self._begun.locked()

    @property
    def is_done(self) -> bool:
        return self._chunks.done()

    def run(self) -> bool:
        """Builds the chunks, unless a thread has begun with that; says whether it did. A failure is for `chunks`."""
        if not self._begun.acquire(blocking=False):
            return False
        try:
            self._chunks.set_result(_build(self._pages, self._keys, self._flatten))
        except BaseException as error:
            self._chunks.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._pages = []
        return True

    def offer(self, others: ThreadPoolExecutor) -> None:
        """Has one of the other threads begin with it, unless the caller is first."""
        # Where no thread can be started (there are too many, or the interpreter is about to end), the caller is.
        with suppress(RuntimeError):
            self._offer = others.submit(self.run)

    def withdraw(self) -> bool:
        """Has no thread begin with it any more; says whether none had."""
        return self._begun.acquire(blocking=False)

    def end(self) -> None:
        """Waits for another thread that has begun with it; not for the caller, which may have been interrupted."""
        if self._offer is not None and not self._offer.cancel():
            wait([self._offer])

    def chunks(self) -> list[ColumnChunk]:
        """Waits for the chunks.

        Returns:
            The chunks.

        Raises:
            HistoryError: A page can't be read.
        """
        return self._chunks.result()


def _build(group: list[Page | list[Any]], keys: Sequence[str] | None, flatten: bool) -> list[ColumnChunk]:
    """Builds columns of some pages: one chunk, unless there is so much text that it takes several."""
    builder = ColumnBuilder(keys, flatten=flatten, expected_rows=min(ROWS_PER_CHUNK, sum(map(likely_rows, group))))
    chunks = []
    index = 0
    while index < len(group):
        whole, rows = builder.add_whole_pages(group[index:])
        index += whole
        # A page that is there in part goes on, however much text there is.
        if index < len(group) and (rows or not builder.is_full):
            add_page(builder, group[index], rows, None)
            index += 1
        if builder.is_full:
            chunks.append(builder.take_chunk())
    if builder.row_count or not chunks:
        chunks.append(builder.take_chunk())
    return chunks


@cache
def _other_threads(count: int) -> ThreadPoolExecutor:
    """So many threads beside the caller's, for all scans that ask for as many.

    They stay: to start one takes as long as to build a thousand rows.
    """
    return ThreadPoolExecutor(count, thread_name_prefix="histscan-columns")


if hasattr(os, "register_at_fork"):
    # A process that was forked has none of the threads that it was forked from.
    os.register_at_fork(after_in_child=_other_threads.cache_clear)
