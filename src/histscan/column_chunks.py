"""From a scan's pages to chunks of columns, with one thread or several.

The core builds the columns of a page without the GIL, so threads that build different pages run side by side.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from histscan._core.column_builder import ColumnBuilder
from histscan._core.column_chunk import ColumnChunk
from histscan._core.page import Page
from histscan.errors import HistoryError

__all__ = ["build_chunks", "build_chunks_in_threads", "default_threads"]

_PAGES_PER_GROUP = 8
"""Pages that a thread builds one chunk of: enough to learn the keys' order once for many rows."""

_PAGES_PER_FIRST_GROUP = 2

_ROWS_PER_CHUNK = 8_192
"""Rows of a chunk where nobody says how many: columns of so many are large, but not yet slow to come by."""

_CELLS_PER_CHUNK = 196_608
"""Of fewer columns than it takes for so many cells, a chunk has more rows: each chunk learns the keys anew."""


def default_threads() -> int:
    """How many threads build columns where the caller does not say: one for each core, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min(4, cores)


def build_chunks(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, rows: int
) -> Iterator[ColumnChunk]:
    """Builds columns page by page.

    Args:
        pages: The scan's pages; lists of dict rows are taken as well.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        rows: Rows in a chunk.

    Yields:
        Chunks of `rows` rows, the last one of what is left. One is yielded even where there are no rows, so that
        keys asked for are columns in any case.

    Raises:
        HistoryError: A page can't be read; the rows before have been yielded.
    """
    builder = ColumnBuilder(keys, flatten=flatten)
    is_first = True
    source = iter(pages)
    try:
        for page in source:
            if is_first and not builder.row_count:
                # Room for some pages that are like the first one.
                room = min(rows, 2 * _PAGES_PER_GROUP * _likely_rows(page))
                builder = ColumnBuilder(keys, flatten=flatten, expected_rows=room)
            first = 0
            while True:
                first = _add(builder, page, first, rows - builder.row_count)
                if builder.row_count < rows and not builder.is_full:
                    break
                yield builder.take_chunk()
                is_first = False
                if first == len(page):
                    break
    except HistoryError:
        if builder.row_count:
            yield builder.take_chunk()
        raise
    finally:
        _end(source)
    if builder.row_count or is_first:
        yield builder.take_chunk()


def _build_whole_pages(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool
) -> Iterator[ColumnChunk]:
    """Builds chunks of as many whole pages as have about the rows that a chunk should have; else as `build_chunks`."""
    rows = max(_ROWS_PER_CHUNK, _CELLS_PER_CHUNK // len(keys) if keys else 0)
    builder: ColumnBuilder | None = None
    is_first = True
    source = iter(pages)
    try:
        for page in source:
            if builder is None:
                room = min(rows, 2 * _PAGES_PER_GROUP * _likely_rows(page))
                builder = ColumnBuilder(keys, flatten=flatten, expected_rows=room)
            before = builder.row_count
            _add(builder, page, 0, None)
            # A page more, like this one, would be too much.
            if 2 * builder.row_count - before > rows or builder.is_full:
                yield builder.take_chunk()
                is_first = False
    except HistoryError:
        if builder is not None and builder.row_count:
            yield builder.take_chunk()
        raise
    finally:
        _end(source)
    if builder is None:
        builder = ColumnBuilder(keys, flatten=flatten)
    if builder.row_count or is_first:
        yield builder.take_chunk()


def build_chunks_in_threads(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, threads: int
) -> Iterator[ColumnChunk]:
    """Builds columns in several threads, of which the caller's is one; it fetches the pages, too.

    Args:
        pages: The scan's pages.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        threads: How many threads; one alone builds each page as it comes.

    Yields:
        Chunks in the order of the pages; one even where there are no rows, as `build_chunks`. How many rows each has
        depends on the pages and on the number of threads, not on how fast these are.

    Raises:
        HistoryError: A page can't be read; of several, the first in the scan's order.
    """
    if threads <= 1:
        yield from _build_whole_pages(pages, keys=keys, flatten=flatten)
        return
    groups = _PageGroups(iter(pages), threads)
    waiting: deque[_GroupTask] = deque()
    # One for each thread, and as many for when they are done with it before this one is back from its own.
    most_waiting = 2 * threads + 1
    columns = 0
    is_first = True
    pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="histscan-columns")
    try:
        while True:
            while len(waiting) < most_waiting:
                group = groups.take()
                if group is None:
                    break
                columns = columns or _count_columns(group[0], keys, flatten)
                builder = ColumnBuilder(
                    keys, flatten=flatten, expected_rows=sum(map(_likely_rows, group)), expected_columns=columns
                )
                task = _GroupTask(builder, group)
                waiting.append(task)
                pool.submit(task.run)
            if not waiting:
                break
            # Whoever is free takes the first group that nobody has begun with: so all are ready at about the same time.
            if not waiting[0].is_done and any(task.run() for task in waiting):
                continue
            for chunk in waiting.popleft().chunks():
                is_first = False
                columns = len(chunk.names)
                yield chunk
    finally:
        pool.shutdown(cancel_futures=True)
        groups.end()
    if groups.failure is not None:
        raise groups.failure
    if is_first:
        yield ColumnBuilder(keys, flatten=flatten).take_chunk()


class _PageGroups:
    """Parts pages into groups, each for one thread to build: of so many pages, and of ever fewer towards the end.

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
        self._is_first = True
        self._has_ended = False
        self.failure: Exception | None = None

    def take(self) -> list[Page | list[Any]] | None:
        """Fetches pages, and returns the next group; None behind the last one."""
        if self._is_first:
            # The other threads should not have to wait until there is much in hand.
            self._fetch(_PAGES_PER_FIRST_GROUP)
            size = _PAGES_PER_FIRST_GROUP
        else:
            # It has to be known in time that the end is near.
            self._fetch((self._threads + 1) * _PAGES_PER_GROUP)
            size = _PAGES_PER_GROUP
            if self._has_ended:
                size = min(size, -(-len(self._in_hand) // (2 * self._threads)))
        self._is_first = False
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
        _end(self._pages)


class _GroupTask:
    """A group of pages, which one thread makes chunks of: the first one to begin.

    Args:
        builder: Builds the columns.
        pages: The group.
    """

    def __init__(self, builder: ColumnBuilder, pages: list[Page | list[Any]]) -> None:
        self._builder = builder
        self._pages = pages
        self._begun = Lock()
        self._chunks: Future[list[ColumnChunk]] = Future()

    @property
    def is_done(self) -> bool:
        return self._chunks.done()

    def run(self) -> bool:
        """Builds the chunks, unless a thread has begun with that; says whether it did. A failure is for `chunks`."""
        if not self._begun.acquire(blocking=False):
            return False
        try:
            self._chunks.set_result(_build(self._builder, self._pages))
        except BaseException as error:
            self._chunks.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._pages = []
        return True

    def chunks(self) -> list[ColumnChunk]:
        """Waits for the chunks.

        Returns:
            The chunks.

        Raises:
            HistoryError: A page can't be read.
        """
        return self._chunks.result()


def _likely_rows(page: Page | list[Any]) -> int:
    """How many rows of a page to make room for before they are seen: not many, however many a page claims to have."""
    return min(page.guess_length() if isinstance(page, Page) else len(page), _ROWS_PER_CHUNK)


def _count_columns(page: Page | list[Any], keys: Sequence[str] | None, flatten: bool) -> int:
    """Counts the columns of a page's first row."""
    builder = ColumnBuilder(keys, flatten=flatten)
    with contextlib.suppress(HistoryError):
        # An error is raised when the page's turn comes.
        _add(builder, page, 0, 1)
    return len(builder.take_chunk().names)


def _build(builder: ColumnBuilder, group: list[Page | list[Any]]) -> list[ColumnChunk]:
    """Builds columns of some pages: one chunk, unless there is so much text that it takes several."""
    chunks = []
    for page in group:
        _add(builder, page, 0, None)
        if builder.is_full:
            chunks.append(builder.take_chunk())
    if builder.row_count or not chunks:
        chunks.append(builder.take_chunk())
    return chunks


def _add(builder: ColumnBuilder, page: Page | list[Any], first: int, limit: int | None) -> int:
    """Adds rows of a page, and says which page it was if that fails; returns the first row not added."""
    if not isinstance(page, Page):
        rows = page[first:] if limit is None else page[first : first + limit]
        builder.add_rows(rows)
        return first + len(rows)
    try:
        return builder.add_page(page, first, limit)
    except HistoryError as error:
        error.add_location(page=page.label)
        raise


def _end(pages: Iterator[Page | list[Any]]) -> None:
    """Ends a generator of pages now: its scan has to be free again though a traceback may still hold the frames."""
    close = getattr(pages, "close", None)
    if close is not None:
        close()
