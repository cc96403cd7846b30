"""Builds chunks of columns from a scan's pages in several threads, one of which is the caller's."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from threading import Lock, get_ident
from typing import Any

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.page import Page
from histscan.columns.chunks import ROWS_PER_CHUNK, build_chunks, build_group, end_pages, likely_rows
from histscan.columns.worker_threads import WorkerThreads
from histscan.errors import HistoryError

__all__ = ["build_chunks_in_threads", "default_threads"]

_PAGES_PER_GROUP = 8
"""The largest number of pages in a chunk; fewer if they have more rows than a chunk should have."""

_PAGES_PER_FIRST_GROUP = 2

_NO_THREAD = 0
"""No thread has this identifier."""


def default_threads() -> int:
    """Returns the default number of threads that build columns: one per core, at most four."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min(4, cores)


def build_chunks_in_threads(
    pages: Iterable[Page | list[Any]],
    *,
    keys: Sequence[str] | None,
    flatten: bool,
    threads: int | None = None,
    notes_nulls: bool = False,
) -> Iterator[ColumnChunk]:
    """Builds columns in several threads, one of which is the caller's. Only the caller's thread fetches pages.

    Args:
        pages: The scan's pages.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        threads: The number of threads; 1 builds each page as it arrives. None for one per core, at most four.
        notes_nulls: As for `ColumnBuilder`.

    Yields:
        Chunks in the order of the pages; at least one, as in `build_chunks`. The number of rows in each depends on the
        pages and on the number of threads, not on timing.

    Raises:
        HistoryError: A page can't be read; for several, the first in the scan's order. Or the process was forked since
            the generator was started: the child must start a new one.
    """
    threads = default_threads() if threads is None else threads
    if threads <= 1:
        yield from build_chunks(pages, keys=keys, flatten=flatten, notes_nulls=notes_nulls)
        return
    process = os.getpid()
    groups = _PageGroups(iter(pages), threads)
    waiting: deque[_GroupTask] = deque()
    # Including groups that are built, but must wait for earlier ones.
    most_waiting = 3 * threads
    others = _other_threads(threads - 1)
    is_first = True
    try:
        while True:
            # One per thread and one more: enough work for the other threads while this one builds a group, but
            # without a long delay before it starts.
            while len(waiting) < most_waiting and sum(not task.has_begun for task in waiting) <= threads:
                group = groups.take()
                if group is None:
                    break
                task = _GroupTask(group, keys, flatten, notes_nulls)
                waiting.append(task)
                task.offer(others)
            if not waiting:
                break
            if os.getpid() != process:
                # The other threads do not exist here, and may have left pages partly read.
                raise HistoryError(
                    "the process was forked while threads built columns: read the columns again in the child process"
                )
            # Any free thread takes the first group that is not started, so that all finish at about the same time.
            if not waiting[0].is_done and _run_first(waiting):
                continue
            for chunk in waiting.popleft().chunks():
                # A page may have no rows, and an empty chunk would become an array for each column.
                if len(chunk):
                    is_first = False
                    yield chunk
    finally:
        begun = [task for task in waiting if not task.cancel()]
        if os.getpid() == process:
            for task in begun:
                task.end()
        groups.end()
    if groups.failure is not None:
        raise groups.failure
    if is_first:
        yield ColumnBuilder(keys, flatten=flatten, notes_nulls=notes_nulls).take_chunk()


class _PageGroups:
    """Splits pages into groups, each built by one thread. Groups grow at first, and shrink towards the end.

    Args:
        pages: The pages.
        threads: The number of threads.

    Attributes:
        failure: The error that ended the pages; None if there was none.
    """

    def __init__(self, pages: Iterator[Page | list[Any]], threads: int) -> None:
        self._pages = pages
        self._threads = threads
        self._fetched: deque[Page | list[Any]] = deque()
        self._size = 0
        self._largest = 0
        self._has_ended = False
        self.failure: Exception | None = None

    def take(self) -> list[Page | list[Any]] | None:
        """Fetches pages, and returns the next group; None after the last one."""
        if not self._size:
            self._fetch(1)
            if not self._fetched:
                return None
            self._largest = max(1, min(_PAGES_PER_GROUP, ROWS_PER_CHUNK // max(1, likely_rows(self._fetched[0]))))
            # The other threads should not wait until many pages are fetched.
            self._size = min(self._largest, _PAGES_PER_FIRST_GROUP)
            self._fetch(self._size)
        else:
            self._size = min(self._largest, 2 * self._size)
            # Fetches far enough ahead to notice that the end is near.
            self._fetch((self._threads + 1) * self._size)
        size = self._size
        if self._has_ended:
            # Each thread's share of the rest in two or three groups, so that all threads finish at about the same time.
            size = min(size, -(-2 * len(self._fetched) // (3 * self._threads)))
        group = [self._fetched.popleft() for _ in range(min(size, len(self._fetched)))]
        return group or None

    def _fetch(self, count: int) -> None:
        """Fetches pages until this many wait to be grouped, or until the last page."""
        while not self._has_ended and len(self._fetched) < count:
            try:
                self._fetched.append(next(self._pages))
            except StopIteration:
                self._has_ended = True
            except Exception as error:
                # The caller raises it after the pages before it, which may fail, too.
                self.failure, self._has_ended = error, True

    def end(self) -> None:
        """Closes the generator of pages."""
        end_pages(self._pages)


class _GroupTask:
    """A group of pages. The first thread that starts it makes chunks of it.

    Args:
        pages: The group.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        notes_nulls: As for `ColumnBuilder`.
    """

    def __init__(
        self, pages: list[Page | list[Any]], keys: Sequence[str] | None, flatten: bool, notes_nulls: bool
    ) -> None:
        self._pages: list[Page | list[Any]] | None = pages
        self._keys = keys
        self._flatten = flatten
        self._notes_nulls = notes_nulls
        # The thread that runs the task, or `_NO_THREAD` if it is cancelled. dict.setdefault() decides between threads.
        self._runner: dict[str, tuple[int]] = {}
        self._result: list[ColumnChunk] | BaseException = []
        # Locked until there is a result. To release a lock takes no memory.
        self._running = Lock()
        self._running.acquire()

    @property
    def has_begun(self) -> bool:
        return bool(self._runner)

    @property
    def is_done(self) -> bool:
        return not self._running.locked()

    def run(self) -> bool:
        """Builds the chunks, unless a thread has started; returns True if it did. `chunks` raises any error."""
        if not self._begin(get_ident()):
            return False
        try:
            self._result = build_group(
                self._pages or [], keys=self._keys, flatten=self._flatten, notes_nulls=self._notes_nulls
            )
        except BaseException as error:
            self._result = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._pages = None
            self._running.release()
        return True

    def offer(self, others: WorkerThreads) -> None:
        """Lets one of the other threads start the task, unless the caller starts it first."""
        # If no thread can be started, the caller runs the task.
        with suppress(RuntimeError, MemoryError):
            others.offer(self.run)

    def cancel(self) -> bool:
        """Cancels the task; returns True if it had not started."""
        return self._begin(_NO_THREAD)

    def end(self) -> None:
        """Waits for another thread that runs the task; not for the caller's, which may have been interrupted."""
        if self._runner["thread"] not in ((_NO_THREAD,), (get_ident(),)):
            self._running.acquire()
            self._running.release()

    def _begin(self, thread: int) -> bool:
        # A tuple of its own for each attempt: a thread that has begun must not begin again.
        attempt = (thread,)
        return self._runner.setdefault("thread", attempt) is attempt

    def chunks(self) -> list[ColumnChunk]:
        """Waits for the chunks.

        Returns:
            The chunks.

        Raises:
            HistoryError: A page can't be read.
        """
        self._running.acquire()
        self._running.release()
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


def _run_first(tasks: Iterable[_GroupTask]) -> bool:
    """Runs the first task that no thread has started; returns False if there is none."""
    # any() would close a generator, and lose the error if there is no memory for that.
    for task in tasks:  # noqa: SIM110
        if task.run():
            return True
    return False


@cache
def _other_threads(count: int) -> WorkerThreads:
    """Returns this many threads, shared by all scans that need this number.

    They are kept, because starting a thread takes as long as building a thousand rows.
    """
    return WorkerThreads(count)


if hasattr(os, "register_at_fork"):
    # A forked process does not have the threads of its parent.
    os.register_at_fork(after_in_child=_other_threads.cache_clear)
