"""Pages parted among threads: every row once and in order, in chunks that don't depend on who was faster."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from _thread import _count as count_threads
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import histscan.columns.threads
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.formats import ProtobufPage, TextPage
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_group
from histscan.columns.threads import _GroupTask, build_chunks_in_threads
from histscan.columns.worker_threads import WorkerThreads
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.column_rows import table_of

ROWS = 3


class Source:
    """Pages of numbered rows, some of which are long in coming."""

    def __init__(self, count: int, *, slow: int = 0, failure: BaseException | None = None) -> None:
        self._count = count
        self._slow = slow
        self._failure = failure
        self.fetched = 0
        self.threads: set[int] = set()
        self.is_closed = False

    def pages(self) -> Iterator[Page | list[Any]]:
        try:
            for page in range(self._count):
                self.threads.add(threading.get_ident())
                if self._slow and page % self._slow == 0:
                    time.sleep(0.002)
                self.fetched += 1
                yield TextPage([f'{{"step":{page * ROWS + row}}}' for row in range(ROWS)])
            if self._failure is not None:
                raise self._failure
        finally:
            self.is_closed = True


class Builds:
    """Looks on as groups of pages are built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at_work = 0
        self.count = 0
        self.threads: set[int] = set()
        self.interrupted: int | None = None
        self._lock = threading.Lock()
        monkeypatch.setattr(histscan.columns.threads, "build_group", self._watched)

    def _watched(self, *arguments: Any, **options: Any) -> list[ColumnChunk]:
        if threading.get_ident() == self.interrupted:
            raise KeyboardInterrupt
        with self._lock:
            self.at_work += 1
            self.count += 1
            self.threads.add(threading.get_ident())
        try:
            time.sleep(0.0005)
            return build_group(*arguments, **options)
        finally:
            with self._lock:
                self.at_work -= 1


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(monkeypatch)


def steps_of(chunks: list[ColumnChunk]) -> list[int]:
    steps: list[int] = table_of(chunks).column("step").to_pylist()
    return steps


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 30, 77, 300])
def test_chunks_depend_on_the_pages_alone(threads: int, count: int, builds: Builds) -> None:
    found = []
    for slow in (0, 7):
        source = Source(count, slow=slow)
        chunks = list(build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=threads))
        found.append([len(chunk) for chunk in chunks])
        assert (steps_of(chunks) if count else []) == list(range(count * ROWS))
        assert source.threads <= {threading.get_ident()}
        assert source.is_closed
        assert builds.at_work == 0
    assert found[0] == found[1]
    assert len(builds.threads) <= threads
    # Ever larger ones, then ever smaller ones.
    largest = found[0].index(max(found[0]))
    assert found[0][:largest] == sorted(found[0][:largest])
    assert found[0][largest:] == sorted(found[0][largest:], reverse=True)


def test_several_threads_build() -> None:
    # Only pages that take longer to build than a thread takes to wake are sure to be met by both.
    rows = [[(f"key{index}", f"{row}.{index}5") for index in range(40)] for row in range(1_000)]
    data = wire.page(rows)
    with pytest.MonkeyPatch.context() as patch:
        builds = Builds(patch)
        chunks = list(build_chunks_in_threads([ProtobufPage(data)] * 60, keys=None, flatten=False, threads=2))
    assert len(builds.threads) == 2
    assert threading.get_ident() in builds.threads
    assert sum(map(len, chunks)) == 60_000


def test_groups_have_fewer_pages_where_these_are_large() -> None:
    page = TextPage(['{"a":1}'] * 9_000)
    chunks = list(build_chunks_in_threads([page] * 12, keys=None, flatten=False, threads=2))
    assert max(map(len, chunks)) <= 2 * 9_000
    assert sum(map(len, chunks)) == 12 * 9_000


def test_one_thread_starts_no_other(builds: Builds) -> None:
    source = Source(20)
    before = count_threads()
    for _ in build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=1):
        assert count_threads() == before
    assert not builds.threads


def test_scans_one_after_the_other_share_threads(builds: Builds) -> None:
    for _ in range(20):
        list(build_chunks_in_threads(Source(60).pages(), keys=None, flatten=False, threads=2))
    assert len(builds.threads) == 2
    before = count_threads()
    list(build_chunks_in_threads(Source(60).pages(), keys=None, flatten=False, threads=2))
    assert count_threads() == before


def test_many_scans_at_once() -> None:
    def scan(count: int) -> list[int]:
        return steps_of(list(build_chunks_in_threads(Source(count).pages(), keys=None, flatten=False, threads=2)))

    with ThreadPoolExecutor(8) as pool:
        for count, steps in zip(range(40, 72), pool.map(scan, range(40, 72)), strict=True):
            assert steps == list(range(count * ROWS))


def test_pages_are_fetched_no_further_ahead_than_needed() -> None:
    source = Source(10_000)
    chunks = build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=2)
    taken = 0
    for _ in range(100):
        taken += len(next(chunks)) // ROWS
        # Six groups that are built or wait for it, and as many pages as tell that the end is not near.
        assert source.fetched - taken <= (6 + 3) * 8
    chunks.close()  # type: ignore[attr-defined]
    assert source.is_closed


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), HistoryDecodeError("no more")])
def test_whatever_ends_the_pages_ends_the_work(failure: BaseException, builds: Builds) -> None:
    source = Source(200, failure=failure)
    steps: list[int] = []
    chunks = build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=3)
    with pytest.raises(type(failure)):
        steps.extend(step for chunk in chunks for step in steps_of([chunk]))
    assert source.is_closed
    assert builds.at_work == 0
    assert steps == list(range(len(steps)))
    if isinstance(failure, HistoryDecodeError):
        assert len(steps) == 200 * ROWS


def test_an_interrupt_while_the_caller_builds(builds: Builds) -> None:
    builds.interrupted = threading.get_ident()
    source = Source(500)
    with pytest.raises(KeyboardInterrupt):
        list(build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=2))
    assert source.is_closed
    assert builds.at_work == 0
    builds.interrupted = None
    chunks = list(build_chunks_in_threads(Source(90).pages(), keys=None, flatten=False, threads=2))
    assert steps_of(chunks) == list(range(90 * ROWS))


def test_whoever_gives_up_early_ends_the_work(builds: Builds) -> None:
    source = Source(500)
    chunks = build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=3)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert source.is_closed
    assert builds.at_work == 0
    before = builds.count
    time.sleep(0.05)
    assert builds.count == before


def test_an_interrupt_just_before_the_caller_builds(monkeypatch: pytest.MonkeyPatch, builds: Builds) -> None:
    run = _GroupTask.run

    def interrupted(task: _GroupTask) -> bool:
        if threading.current_thread() is caller:
            # As if it came when the other tasks were cancelled, before any has started.
            task.cancel()
            raise KeyboardInterrupt
        return run(task)

    def scan() -> None:
        with pytest.raises(KeyboardInterrupt):
            list(build_chunks_in_threads(Source(500).pages(), keys=None, flatten=False, threads=3))
        ended.set()

    monkeypatch.setattr(_GroupTask, "run", interrupted)
    ended = threading.Event()
    caller = threading.Thread(target=scan, daemon=True)
    caller.start()
    assert ended.wait(60)
    assert builds.at_work == 0


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch, builds: Builds) -> None:
    ended = WorkerThreads(1)
    ended.end()
    monkeypatch.setattr(histscan.columns.threads, "_other_threads", lambda count: ended)
    chunks = list(build_chunks_in_threads(Source(90).pages(), keys=None, flatten=False, threads=2))
    assert steps_of(chunks) == list(range(90 * ROWS))
    assert builds.threads == {threading.get_ident()}


def build_in_child(results: Any) -> None:
    before = count_threads()
    chunks = list(build_chunks_in_threads(Source(90).pages(), keys=None, flatten=False, threads=2))
    # A thread is counted when it runs.
    for _ in range(30_000):
        if count_threads() > before:
            break
        time.sleep(0.001)
    results.put((count_threads() - before, steps_of(chunks)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    list(build_chunks_in_threads(Source(90).pages(), keys=None, flatten=False, threads=2))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=build_in_child, args=(results,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert results.get() == (1, list(range(90 * ROWS)))


def test_a_process_ends_though_a_scan_has_not() -> None:
    program = """
import histscan
from histscan._core.pages.formats import TextPage
from histscan.columns.threads import build_chunks_in_threads
chunks = build_chunks_in_threads((TextPage(['{"a":1}']) for _ in range(10**6)), keys=None, flatten=False, threads=3)
print(len(next(chunks)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


def test_the_first_row_may_be_bad() -> None:
    pages: list[Page | list[Any]] = [TextPage(["{"]), *[TextPage(['{"a":1}'])] * 30]
    with pytest.raises(HistoryDecodeError, match=r"row 0\b"):
        list(build_chunks_in_threads(pages, keys=None, flatten=False, threads=2))


def test_pages_without_rows() -> None:
    pages: list[Page | list[Any]] = [TextPage([]), [], TextPage([])] * 11
    # An empty chunk would cost an array for each column of the others.
    (chunk,) = build_chunks_in_threads([*pages, [{"a": 1}], *pages], keys=None, flatten=False, threads=2)
    assert table_of([chunk]).to_pylist() == [{"a": 1}]
    assert table_of(list(build_chunks_in_threads(pages, keys=["a"], flatten=False, threads=2))).column_names == ["a"]
