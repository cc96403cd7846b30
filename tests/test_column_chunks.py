"""Pages parted among threads: every row once and in order, in chunks that don't depend on who was faster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from histscan._core.page import Page
from histscan._core.pages import TextPage
from histscan.column_chunks import build_chunks_in_threads
from histscan.errors import HistoryDecodeError
from tests.column_rows import table_of

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


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("histscan-columns")]


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 30, 77])
def test_chunks_depend_on_the_pages_alone(threads: int, count: int) -> None:
    found = []
    for slow in (0, 7):
        source = Source(count, slow=slow)
        chunks = list(build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=threads))
        found.append([len(chunk) for chunk in chunks])
        steps = table_of(chunks).column("step").to_pylist() if count else []
        assert steps == list(range(count * ROWS))
        assert source.threads <= {threading.get_ident()}
        assert source.is_closed
    assert found[0] == found[1]
    # As many as the first group has, then as many as the others, then ever fewer.
    assert found[0][1:] == sorted(found[0][1:], reverse=True)
    assert not threads_of_ours()


def test_one_thread_starts_no_other() -> None:
    source = Source(20)
    before = threading.active_count()
    for _ in build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=1):
        assert threading.active_count() == before


def test_pages_are_fetched_no_further_ahead_than_needed() -> None:
    source = Source(10_000)
    chunks = build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=2)
    taken = 0
    for _ in range(100):
        taken += len(next(chunks)) // ROWS
        assert source.fetched - taken < 120
    chunks.close()  # type: ignore[attr-defined]
    assert source.is_closed
    assert not threads_of_ours()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), HistoryDecodeError("no more")])
def test_whatever_ends_the_pages_ends_the_threads(failure: BaseException) -> None:
    source = Source(200, failure=failure)
    steps: list[int] = []
    chunks = build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=3)
    with pytest.raises(type(failure)):
        steps.extend(step for chunk in chunks for step in table_of([chunk]).column("step").to_pylist())
    assert source.is_closed
    assert not threads_of_ours()
    assert steps == list(range(len(steps)))
    if isinstance(failure, HistoryDecodeError):
        assert len(steps) == 200 * ROWS


def test_an_interrupt_while_the_caller_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    import histscan.column_chunks as module

    caller = threading.get_ident()
    build = module._build

    def interrupted(*arguments: Any) -> Any:
        if threading.get_ident() == caller:
            raise KeyboardInterrupt
        return build(*arguments)

    monkeypatch.setattr(module, "_build", interrupted)
    source = Source(500)
    with pytest.raises(KeyboardInterrupt):
        list(build_chunks_in_threads(source.pages(), keys=None, flatten=False, threads=2))
    assert source.is_closed
    assert not threads_of_ours()


def test_the_first_row_may_be_bad() -> None:
    pages: list[Page | list[Any]] = [TextPage(["{"]), *[TextPage(['{"a":1}'])] * 30]
    with pytest.raises(HistoryDecodeError, match=r"row 0\b"):
        list(build_chunks_in_threads(pages, keys=None, flatten=False, threads=2))


def test_pages_without_rows() -> None:
    pages: list[Page | list[Any]] = [TextPage([]), [], TextPage([])] * 11
    (chunk,) = [
        chunk
        for chunk in build_chunks_in_threads([*pages, [{"a": 1}]], keys=None, flatten=False, threads=2)
        if len(chunk)
    ]
    assert table_of([chunk]).to_pylist() == [{"a": 1}]
    assert table_of(list(build_chunks_in_threads(pages, keys=["a"], flatten=False, threads=2))).column_names == ["a"]
