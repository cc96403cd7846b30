"""Rows of protobuf pages that are added as they are found: the same as of pages whose rows were looked for before."""

from __future__ import annotations

import random

import pytest

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import ProtobufPage, TextPage
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_group
from histscan.columns.threads import build_chunks_in_threads
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.column_rows import Pairs, build_table, table_of

LENGTHS = [1, 60, 127, 128, 200, 16_383, 16_384, 40_000]
"""Of rows, about: those at which a row's length takes another byte."""


def rows_of_length(length: int, count: int) -> list[Pairs]:
    values = max(1, length // 30)
    return [[(f"key_{index:05}", f"{step}.{index:06}5") for index in range(values)] for step in range(count)]


def columns_of(data: bytes, *, indexed: bool) -> dict[str, list[object]]:
    page = ProtobufPage(data)
    if indexed:
        len(page)
    builder = ColumnBuilder()
    builder.add_page(page)
    columns: dict[str, list[object]] = table_of([builder.take_chunk()]).to_pydict()
    return columns


@pytest.mark.parametrize("length", LENGTHS)
def test_rows_of_any_length(length: int) -> None:
    rows = rows_of_length(length, 9)
    data = wire.page(rows)
    expected = {key: [float(dict(row)[key]) for row in rows] for key in dict(rows[0])}
    assert columns_of(data, indexed=False) == columns_of(data, indexed=True) == expected


def test_rows_of_changing_lengths_and_keys() -> None:
    generator = random.Random(3)
    values = ["1.25", "7", '"text"', "null", "NaN", "[1]", "0.12345678901234567", "1e-07"]
    rows: list[Pairs] = []
    for _ in range(400):
        keys = ["a", "b", "c" * 40, "d"][: generator.choice([4, 4, 4, 4, 3, 2])]
        rows.append([(key, generator.choice(values if generator.random() < 0.1 else values[:2])) for key in keys])
    data = wire.page(rows)
    assert columns_of(data, indexed=False) == columns_of(data, indexed=True)


def test_unknown_fields_between_rows() -> None:
    rows = rows_of_length(60, 6)
    pages = [wire.page([row]) for row in rows]
    unknown = [b"", b"\x10\x05", b"\x1a\x03abc", b"\x25\x01\x02\x03\x04", b"", b"\x10\x01\x10\x02"]
    data = b"".join(between + page for between, page in zip(unknown, pages, strict=True)) + b"\x10\x00"
    assert len(columns_of(data, indexed=False)["key_00000"]) == 6
    assert columns_of(data, indexed=False) == columns_of(data, indexed=True)


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 9, 10, 11, 100, 1 << 70])
def test_as_many_rows_as_are_asked_for(limit: int) -> None:
    rows = rows_of_length(60, 10)
    page = ProtobufPage(wire.page(rows))
    builder = ColumnBuilder()
    added = builder.add_page(page, 0, limit)
    assert added == builder.row_count == min(limit, 10)
    assert builder.add_page(page, added) == 10
    assert table_of([builder.take_chunk()]).to_pylist() == page.rows()


def test_a_page_that_ends_early_gives_the_rows_before_whether_found_or_indexed() -> None:
    rows = rows_of_length(60, 5)
    data = wire.page(rows)
    ends = [len(wire.page(rows[:count])) for count in range(6)]
    for cut in range(len(data)):
        whole = max(count for count, end in enumerate(ends) if end <= cut)
        for indexed in (False, True):
            page = ProtobufPage(data[:cut])
            if indexed:
                assert len(page) == whole
            builder = ColumnBuilder()
            if cut in ends:
                assert builder.add_page(page) == whole
            else:
                with pytest.raises(HistoryDecodeError) as caught:
                    builder.add_page(page)
                assert caught.value.row == whole
            assert builder.row_count == whole


def test_guesses_of_how_many_rows_there_are() -> None:
    for count in (0, 1, 7):
        assert ProtobufPage(wire.page(rows_of_length(60, count))).guess_length() == count
    page = ProtobufPage(wire.page(rows_of_length(300, 1_000)))
    assert 1_000 <= page.guess_length() <= 1_300
    assert len(page) == page.guess_length() == 1_000
    assert ProtobufPage(b"\x0a\xff").guess_length() == 0


def page_of(first: int, count: int, *, odd: int | None = None) -> bytes:
    """A page of numbered rows; the one at `odd` has a value that needs care."""
    return wire.page(
        [
            [("step", str(first + row)), ("value", '"\\ud800"' if row == odd else f"{first + row}.5")]
            for row in range(count)
        ]
    )


def add_in_one_go(pages: list[Page]) -> tuple[int, int, list[dict[str, object]]]:
    builder = ColumnBuilder()
    whole, rows = builder.add_whole_pages(pages)
    table: list[dict[str, object]] = table_of([builder.take_chunk()]).to_pylist()
    return whole, rows, table


@pytest.mark.parametrize("lengths", [[], [0], [1], [3, 0, 5], [0, 0, 40], [7] * 12])
def test_whole_pages_in_one_go(lengths: list[int]) -> None:
    pages: list[Page] = [ProtobufPage(page_of(100 * place, count)) for place, count in enumerate(lengths)]
    whole, rows, table = add_in_one_go(pages)
    assert (whole, rows) == (len(pages), 0)
    assert table == [row for page in pages for row in page.rows()]


@pytest.mark.parametrize("odd", [0, 1, 5, 9])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_whole_pages_up_to_a_row_for_the_slow_path(place: int, odd: int) -> None:
    pages: list[Page] = [
        ProtobufPage(page_of(10 * index, 10, odd=odd if index == place else None)) for index in range(4)
    ]
    whole, rows, table = add_in_one_go(pages)
    assert (whole, rows) == (place, odd)
    assert table == [{"step": step, "value": step + 0.5} for step in range(10 * place + odd)]
    builder = ColumnBuilder()
    assert builder.add_whole_pages(iter(pages)) == (place, odd)
    assert builder.add_page(pages[place], odd) == 10
    assert builder.add_whole_pages(pages[place + 1 :]) == (3 - place, 0)
    assert table_of([builder.take_chunk()]).equals(build_table(pages))


@pytest.mark.parametrize("other", [TextPage(['{"step":9}']), ProtobufPage(page_of(9, 1))])
def test_whole_pages_up_to_one_of_another_kind_or_one_that_has_an_index(other: Page) -> None:
    len(other)
    pages: list[Page] = [ProtobufPage(page_of(0, 3)), other, ProtobufPage(page_of(4, 3))]
    assert add_in_one_go(pages)[:2] == (1, 0)
    assert add_in_one_go(pages[1:])[:2] == (0, 0)


def test_whole_pages_up_to_one_that_ends_early() -> None:
    good, bad = page_of(0, 4), page_of(4, 4)
    ends = [len(page_of(4, count)) for count in range(5)]
    for cut in range(len(bad) + 1):
        page = ProtobufPage(bad[:cut])
        page.label = "steps 4 to 8"
        pages: list[Page] = [ProtobufPage(good), page, ProtobufPage(good)]
        before = max(count for count, end in enumerate(ends) if end <= cut)
        whole, rows, table = add_in_one_go(pages)
        assert (whole, rows) == ((3, 0) if cut in ends else (1, before))
        assert [row["step"] for row in table][: 4 + before] == list(range(4 + before))
        if cut not in ends:
            with pytest.raises(HistoryDecodeError, match=rf"page steps 4 to 8, row {before}\b"):
                list(build_chunks_in_threads(pages, keys=None, flatten=False, threads=2))


def test_whole_pages_until_there_is_too_much_text() -> None:
    data = wire.page([[("text", '"' + "x" * (100 * 2**20) + '"')]])
    pages: list[Page] = [ProtobufPage(data) for _ in range(9)]
    builder = ColumnBuilder()
    assert builder.add_whole_pages(pages) == (6, 0)
    assert builder.is_full
    assert builder.add_whole_pages(pages[6:]) == (0, 0)
    builder.take_chunk()
    assert builder.add_whole_pages(pages[6:]) == (3, 0)


def test_a_row_for_the_slow_path_behind_too_much_text() -> None:
    text = '"' + "x" * (64 * 2**20) + '"'
    rows = [[("step", str(step)), ("text", text)] for step in range(9)]
    data = wire.page([*rows, [("step", "9"), ("text", '"\\ud800"')], [("step", "10")]])
    pages: list[Page | list[object]] = [ProtobufPage(data), ProtobufPage(page_of(11, 2))]
    chunks = build_group(pages, keys=["step", "text"], flatten=False)
    assert [len(chunk) for chunk in chunks] == [11, 2]
    assert table_of(chunks).column("step").to_pylist() == list(range(13))


def test_whole_pages_are_pages() -> None:
    for pages in ([None], [b""], None, 7):
        builder = ColumnBuilder()
        if isinstance(pages, list):
            assert builder.add_whole_pages(pages) == (0, 0)  # type: ignore[arg-type]
        else:
            with pytest.raises(TypeError):
                builder.add_whole_pages(pages)  # type: ignore[arg-type]
