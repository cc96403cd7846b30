"""Rows of protobuf pages that are added as they are found: the same as of pages whose rows were looked for before."""

from __future__ import annotations

import random

import pytest

from histscan._core.column_builder import ColumnBuilder
from histscan._core.pages import ProtobufPage
from histscan.errors import HistoryDecodeError
from tests import wire
from tests.column_rows import Pairs, table_of

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


def test_fields_between_rows_that_nobody_knows() -> None:
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
