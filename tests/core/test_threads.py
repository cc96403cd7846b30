"""Threads that use one object of the core at once: each gets what it would get alone.

With the GIL, few of these can fail. In an interpreter without it, they show if a lock is missing.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow
import pytest

from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from histscan._core.rows.summary_reducer import SummaryReducer
from tests.support import wire
from tests.support.column_rows import table_of
from tests.support.encodings import history_body, log_page, sampled_body
from tests.support.threads import run_together

THREADS = 4
PAGE_ROWS = 25


def members(step: int) -> list[tuple[str, str]]:
    """A row with a key that no row before has, one that few have, and text that is and is not plain."""
    row = [
        ("_step", str(step)),
        (f"new {step}", "1.5"),
        ("text", f'"{step} é\\n"'),
        ("nested", f'{{"a":[{step},null]}}'),
    ]
    return row if step % 7 else [*row, ("odd", '"\\ud800"')]


def text_of(step: int) -> str:
    return "{" + ",".join(f'"{key}":{value}' for key, value in members(step)) + "}"


def texts(first: int, stop: int) -> list[str]:
    return [text_of(step) for step in range(first, stop)]


def arrow_page(first: int, stop: int) -> Page:
    steps = range(first, stop)
    table = pyarrow.table(
        {
            "_step": steps,
            "some": [step if step % 3 else None for step in steps],
            "few": [f"{step}" if step % 5 else None for step in steps],
            "listed": [[step, None] for step in steps],
            "repeated": pyarrow.array(["ab"[step % 2] for step in steps]).dictionary_encode(),
        }
    )
    return ArrowPage(read_batches(table))


def log_of(first: int, stop: int) -> bytes:
    return wire.write_log([wire.history_record(members(step)) for step in range(first, stop)])


PAGES: dict[str, Callable[[int, int], Page]] = {
    "text": lambda first, stop: TextPage(texts(first, stop)),
    "history": lambda first, stop: HistoryPage(history_body(texts(first, stop))),
    "sampled": lambda first, stop: SampledPage(sampled_body(texts(first, stop))),
    "protobuf": lambda first, stop: ProtobufPage(wire.page([members(step) for step in range(first, stop)])),
    "log": lambda first, stop: log_page(log_of(first, stop)),
    "arrow": arrow_page,
}


class PageScan(RowScan):
    """A scan that keeps its pages, which share a table of keys."""

    def __init__(self, make_page: Callable[[int, int], Page], stop_step: int) -> None:
        self.make_page = make_page
        self.pages: list[Page] = []
        super().__init__(0, stop_step)

    def _load_next(self) -> None:
        first = self.page_offset
        self.pages.append(self.make_page(first, first + PAGE_ROWS))
        self._take_page(self.pages[-1])
        self.page_offset = first + PAGE_ROWS


@pytest.mark.parametrize("kind", PAGES)
def test_threads_share_a_page(kind: str) -> None:
    expected = PAGES[kind](0, 200).rows()
    page = PAGES[kind](0, 200)

    def read(seed: int) -> list[tuple[int, Any]]:
        order = random.Random(seed).sample(range(200), 200)
        return [(index, page.row(index)) for index in order]

    for rows in run_together(*(partial(read, seed) for seed in range(THREADS))):
        assert [row for _, row in sorted(rows, key=lambda found: found[0])] == expected


def test_threads_find_the_rows_of_a_page_at_once() -> None:
    data = wire.page([members(step) for step in range(500)])
    expected = ProtobufPage(data).rows()
    for _ in range(10):
        page = ProtobufPage(data)
        found = run_together(partial(len, page), partial(page.row, 499), page.rows, partial(page.row, 0))
        assert found == [500, expected[499], expected, expected[0]]


@pytest.mark.parametrize("kind", PAGES)
def test_threads_read_pages_with_one_table_of_keys(kind: str) -> None:
    scan = PageScan(PAGES[kind], 500)
    expected = list(scan)
    assert len(expected) == 500
    parts = [scan.pages[index::THREADS] for index in range(THREADS)]
    found = run_together(*(lambda pages=pages: [page.rows() for page in pages] for pages in parts))
    pages = [rows for index in range(len(scan.pages)) for rows in [found[index % THREADS][index // THREADS]]]
    assert list(itertools.chain(*pages)) == expected


@pytest.mark.parametrize("kind", PAGES)
def test_builders_of_threads_take_pages_with_one_table_of_keys(kind: str) -> None:
    """Rows with lone surrogates are decoded as dict rows, by the decoder that the pages share."""
    scan = PageScan(PAGES[kind], 300)
    list(scan)

    def build(pages: list[Page]) -> Any:
        builder = ColumnBuilder()
        for page in pages:
            builder.add_page(page)
        return table_of([builder.take_chunk()])

    parts = [scan.pages[index::THREADS] for index in range(THREADS)]
    expected = [build([PAGES[kind](first, first + PAGE_ROWS) for first in starts]) for starts in starts_of(scan, parts)]
    found = run_together(*(partial(build, pages) for pages in parts))
    assert [table.to_pylist() for table in found] == [table.to_pylist() for table in expected]


def starts_of(scan: PageScan, parts: list[list[Page]]) -> list[list[int]]:
    return [[scan.pages.index(page) * PAGE_ROWS for page in pages] for pages in parts]


@pytest.mark.parametrize("kind", PAGES)
def test_threads_use_a_scan_while_others_take_its_rows(kind: str) -> None:
    scan = PageScan(PAGES[kind], 1_000)
    rows_of_step = dict(enumerate(PAGES[kind](0, 1_000).rows()))

    def take() -> list[Any]:
        return list(iter(partial(next, scan, None), None))

    def look() -> list[Any]:
        seen = []
        for _ in range(100):
            assert 0 <= scan.page_offset <= 1_000
            assert (scan.min_step, scan.max_step) == (0, 999)
            seen += scan.rows
        return seen

    first, second, seen, also_seen = run_together(take, take, look, look)
    assert sorted(row["_step"] for row in first + second) == list(range(1_000))
    for row in first + second + seen + also_seen:
        assert row == rows_of_step[row["_step"]]


def test_threads_share_a_selection() -> None:
    selection = ItemSelection(["_step", "text", "nested.a", "nested"])
    logs = [log_of(first, first + 200) for first in range(0, 200 * THREADS, 200)]

    def read(log: bytes, chosen: ItemSelection) -> list[Any]:
        page = LogReader().read_window(log, True)
        page.select_keys(chosen)
        return page.rows()

    expected = [read(log, ItemSelection(selection.keys)) for log in logs]
    assert run_together(*(partial(read, log, selection) for log in logs)) == expected


def test_threads_share_a_reducer() -> None:
    reducer = SummaryReducer()

    def update(number: int) -> bytes:
        record = wire.update_record(wire.SUMMARY, [(f"key {number}", str(number)), ("same", str(number))])
        page = LogReader().read_window(wire.write_log([record]), True)
        (message,) = page.records(wire.SUMMARY)
        return message

    messages = [update(number) for number in range(400)]
    expected = {f"key {number}": number for number in range(400)}

    def add(part: list[bytes]) -> None:
        for message in part:
            reducer.add(message)

    def look() -> list[dict[str, Any]]:
        return [reducer.values() for _ in range(20)]

    *added, seen = run_together(*(partial(add, messages[index::3]) for index in range(3)), look)
    assert added == [None] * 3
    values = reducer.values()
    assert values.pop("same") in range(400)
    assert values == expected
    for found in seen:
        found.pop("same", None)
        assert found.items() <= expected.items()
