"""What threads do with the core at the same time, as operations in which any allocation may fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow

import histscan.columns.threads
from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.page import Page
from histscan.columns.worker_threads import WorkerThreads
from tests.faults.core_operations import PAGES, OnePage, Operation, add_page, show_chunk

__all__ = ["THREAD_OPERATIONS"]

# Longer than any operation takes: a thread that has not ended by then never will.
PATIENCE = 60.0
ROOM = 100


class Worker:
    """A thread that waits for work. It begins and ends by locks alone, so that it needs no memory for that."""

    def __init__(self) -> None:
        self._begin, self._end = threading.Lock(), threading.Lock()
        self._begin.acquire()
        self._end.acquire()
        self._work: Callable[[], object] = str
        threading.Thread(target=self._run, daemon=True).start()

    def set_work(self, work: Callable[[], object]) -> None:
        self._work = work

    def start(self) -> None:
        self._begin.release()

    def join(self) -> None:
        if not self._end.acquire(True, PATIENCE):
            raise AssertionError("a thread hangs")

    def _run(self) -> None:
        while True:
            self._begin.acquire()
            try:
                self._work()
            except MemoryError:
                pass
            finally:
                self._end.release()


WORKERS = [Worker(), Worker()]


class SharedScan:
    """A scan that two threads read, and the rows that each of them has."""

    def __init__(self, page: str) -> None:
        self.scan = OnePage(PAGES[page])
        # Room for all rows, so that none is lost here.
        self.taken: list[list[Any]] = [[None] * ROOM, [None] * ROOM]
        self.counts = [0, 0]
        self.failures = [0, 0]
        self.rest: list[Any] = []
        for place, worker in enumerate(WORKERS):
            worker.set_work(partial(self.take, place))

    def take(self, place: int) -> None:
        taken, counts, scan, failures = self.taken[place], self.counts, self.scan, self.failures
        while failures[place] < 3:
            try:
                taken[counts[place]] = next(scan)
                counts[place] += 1
            except StopIteration:
                return
            except MemoryError:
                failures[place] += 1


def show_shared(shared: SharedScan) -> str:
    """All rows, also those that the threads have left: each must be there once."""
    shared.rest += iter(partial(next, shared.scan, None), None)
    rows = [*shared.taken[0][: shared.counts[0]], *shared.taken[1][: shared.counts[1]], *shared.rest]
    return "\n".join(sorted(map(repr, rows)))


class TwoBuilders:
    """Two builders, each in a thread of its own, whose chunks are released by the caller's."""

    def __init__(self, page: str) -> None:
        self.pages = [PAGES[page](), PAGES[page]()]
        self.chunks: list[Any] = [None, None]
        for place, worker in enumerate(WORKERS):
            worker.set_work(partial(self.build, place))

    def build(self, place: int) -> None:
        self.chunks[place] = None
        self.chunks[place] = add_page(ColumnBuilder(), self.pages[place])


def run_workers(work: Any) -> Any:
    """Lets both threads do their work. If one of them had no memory, nothing is there of its chunk."""
    one, other = WORKERS
    one.start()
    other.start()
    one.join()
    other.join()
    return work


def build_in_threads(builders: TwoBuilders) -> Any:
    run_workers(builders)
    if None in builders.chunks:
        raise MemoryError
    return builders.chunks


def show_chunks(chunks: list[Any]) -> str:
    return "\n".join(map(show_chunk, chunks))


OTHER_THREADS: list[WorkerThreads] = []


def start_anew(prepare: Callable[[], Any]) -> Any:
    """Ends the threads that build columns, so that others must be started while allocations fail."""
    while OTHER_THREADS:
        OTHER_THREADS.pop().end()
    OTHER_THREADS.append(WorkerThreads(1))
    histscan.columns.threads._other_threads = lambda _: OTHER_THREADS[0]  # type: ignore[assignment]
    return prepare()


def make_pages() -> list[Page]:
    return [make() for make in PAGES.values()]


def stream_columns(pages: list[Page]) -> Any:
    """What `to_arrow(threads=2)` does with pages before it calls pyarrow, which may end a process without memory."""
    chunks = list(histscan.columns.threads.build_chunks_in_threads(iter(pages), keys=None, flatten=False, threads=2))
    return ArrowStream(merge_columns(chunks), chunks)


def show_stream(stream: Any) -> str:
    return repr(pyarrow.RecordBatchReader.from_stream(stream).read_all().to_pylist())


THREAD_OPERATIONS: dict[str, Operation] = {
    "threads build chunks of columns": Operation(make_pages, stream_columns, show_stream),
    "threads start, and build chunks of columns": Operation(
        partial(start_anew, make_pages), stream_columns, show_stream
    ),
    **{
        f"threads share a scan of {page}": Operation(partial(SharedScan, page), run_workers, show_shared, repeats=False)
        for page in ("protobuf", "log", "history", "text")
    },
    **{
        f"threads build columns of {page}": Operation(partial(TwoBuilders, page), build_in_threads, show_chunks)
        for page in PAGES
    },
}
