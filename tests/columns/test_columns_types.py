"""A column's type is decided over the whole scan, and is the same however the rows are cut into pages and batches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_types import JSON_FORMAT, column_format, merge_columns
from histscan._core.pages.formats import TextPage
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_chunks
from histscan.columns.threads import build_chunks_in_threads
from tests.support.column_rows import (
    ENCODINGS,
    FLOAT_LISTS,
    FLOATS,
    INT_LISTS,
    JSON,
    TEXT,
    Pairs,
    build_table,
    check_table,
    check_values,
    in_parts,
    pages_of,
    rows_of,
    rows_of_pairs,
    step_types,
    table_of,
    takes,
    types_of,
    windows_of,
    write_rows,
)
from tests.support.column_strategies import column_rows, column_texts
from tests.support.json_corpus import fingerprint

WIDE = 2**53 + 1

# The texts of a column's values, and the type that they make together.
TYPES: list[tuple[Sequence[str], str]] = [
    (["null"], "null"),
    (["null", "null"], "null"),
    (["true", "null", "false"], "bool"),
    (["1", "-1", "0", "-0"], "int64"),
    ([str(2**63 - 1), str(-(2**63))], "int64"),
    ([str(-(2**63))], "int64"),
    ([str(WIDE), "null"], "int64"),
    ([str(2**63), "0", "null"], "uint64"),
    ([str(2**64 - 1), str(2**63 - 1)], "uint64"),
    ([str(2**64 - 1), "-1"], JSON),
    (["-1", str(2**63)], JSON),
    ([str(2**64)], JSON),
    ([str(-(2**63) - 1)], JSON),
    ([str(2**64), "1"], JSON),
    (["1", "0.5"], FLOATS),
    (["1.0"], FLOATS),
    (["1e3", "-7", "null"], FLOATS),
    (["NaN", "1"], FLOATS),
    (["NaN"], FLOATS),
    (["Infinity", "-Infinity"], FLOATS),
    ([str(2**53), "0.5", str(-(2**53))], FLOATS),
    ([str(2**62), "0.5"], FLOATS),
    ([str(WIDE + 1), "0.5"], FLOATS),
    ([str(-(2**63)), "0.5"], FLOATS),
    ([str(WIDE), "0.5"], JSON),
    ([str(-WIDE), "NaN"], JSON),
    ([str(2**63 - 1), "1e300"], JSON),
    ([str(2**64 - 1), "0.5"], JSON),
    ([str(2**64), "0.5"], JSON),
    (["0.5", '"NaN"'], FLOATS),
    (["1", '"-Infinity"', '"Infinity"'], FLOATS),
    ([str(WIDE), '"NaN"'], JSON),
    (["0.5", '"nan"'], JSON),
    (["0.5", '"inf"'], JSON),
    (["0.5", '""'], JSON),
    (["true", '"NaN"'], JSON),
    (['"NaN"'], TEXT),
    (['"NaN"', '"x"'], TEXT),
    (['""', "null"], TEXT),
    (['"\\ud800"', '"x"'], JSON),
    (['"x"', "1"], JSON),
    (["true", "1"], JSON),
    (["false", "0.5"], JSON),
    (["true", '"x"'], JSON),
    (["[]"], JSON),
    (["[]", "null"], JSON),
    (["[null]", "[]"], JSON),
    (["[1,2]", "[]", "null", "[null]"], INT_LISTS),
    (["[ 1 ,\t2\n]", "[ ]", "[ null , 3 ]"], INT_LISTS),
    ([f"[{2**63 - 1},{-(2**63)}]"], INT_LISTS),
    ([f"[{WIDE}]"], INT_LISTS),
    ([f"[{2**63}]"], JSON),
    ([f"[{2**64}]", "[1]"], JSON),
    (["[0.5]", "[1]"], FLOAT_LISTS),
    (["[1,0.5,null,NaN]"], FLOAT_LISTS),
    (["[1]", "[NaN,-Infinity]"], FLOAT_LISTS),
    (["[0.5]", f"[{WIDE}]"], JSON),
    ([f"[{WIDE},0.5]"], JSON),
    (['["NaN",0.5]'], JSON),
    (['["x"]'], JSON),
    (["[true]"], JSON),
    (["[[1]]"], JSON),
    (["[{}]", "[1]"], JSON),
    (["[1]", "1"], JSON),
    (["[1]", "{}"], JSON),
    (["[0.5]", "0.5"], JSON),
    (["{}"], JSON),
    (['{"a":1}', "null"], JSON),
    (['{"a":1}', "0.5"], JSON),
]


@pytest.mark.parametrize(
    ("texts", "type_name"), TYPES, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_types(texts: list[str], type_name: str) -> None:
    for encoding, page in ENCODINGS.items():
        for order in (texts, texts[::-1]):
            rows: list[Pairs] = [[("a", text)] for text in order]
            table = build_table([page(rows)])
            types = {"a": type_name, **step_types(encoding)}
            assert types_of(table) == types, encoding
            check_table(table, rows_of_pairs(rows, encoding))
            # Each value in a page, and in a batch, of its own.
            assert types_of(build_table(pages_of(encoding, rows, 1), rows=1)) == types
        dicts = rows_of_pairs([[("a", text)] for text in texts])
        check_table(build_table([dicts]), dicts)


def build_in_threads(pages: list[Page], threads: int) -> Any:
    return table_of(list(build_chunks_in_threads(pages, keys=None, flatten=False, threads=threads)))


def same_tables(one: Any, two: Any) -> bool:
    """Returns True if tables have the same columns, types and values, in any batches."""
    same_schema: bool = one.schema.equals(two.schema, check_metadata=True)
    return same_schema and one.num_rows == two.num_rows and fingerprint(rows_of(one)) == fingerprint(rows_of(two))


@given(column_rows(), st.sampled_from(list(ENCODINGS)))
@settings(max_examples=80)
def test_the_same_however_it_is_cut(rows: list[Pairs], encoding: str) -> None:
    if not takes(encoding, rows):
        return
    whole = build_table([ENCODINGS[encoding](rows)])
    check_table(whole, rows_of_pairs(rows, encoding))
    for page_size, batch_rows in ((1, 65_536), (1_000, 1), (2, 3), (7, 5)):
        pages = pages_of(encoding, rows, page_size)
        assert same_tables(build_table(pages, rows=batch_rows), whole)
    assert same_tables(build_in_threads(pages_of(encoding, rows, 1), 2), whole)


@given(column_texts, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_same_in_whatever_order_the_rows_come(texts: list[str], order: random.Random) -> None:
    rows: list[Pairs] = [[("a", text)] for text in [*texts, "null"]]
    expected = types_of(build_table([ENCODINGS["text"](rows)]))
    for _ in range(4):
        order.shuffle(rows)
        assert types_of(build_table([ENCODINGS["text"]([row]) for row in rows], rows=2)) == expected


def long_rows() -> list[Pairs]:
    """Rows with columns that come late, go early, and change their kind at far ends."""
    rows: list[Pairs] = []
    for step in range(1_234):
        row = [("_step", str(step)), ("loss", "NaN" if step % 7 == 0 else repr(1 / (step + 1)))]
        row.append(("late promotion", str(step) if step < 1_233 else "0.5"))
        row.append(("late text", str(step) if step < 1_233 else '"x"'))
        row.append(("unsigned", str(step) if step != 900 else str(2**64 - 1)))
        row.append(("list", "[]" if step < 1_100 else f"[{step}]"))
        row.append(("floats in lists", f"[{step}]" if step else "[0.5]"))
        if step < 3:
            row.append(("early", "true"))
        if step > 1_200:
            row.append(("late", '"x"'))
        if step == 700:
            row.append(("once", '{"a":1}'))
        if step % 2:
            row.append(("null", "null"))
        rows.append(row)
    return rows


LONG_ROWS = long_rows()
LONG_TYPES = {
    "_step": "int64",
    "loss": FLOATS,
    "late promotion": FLOATS,
    "late text": JSON,
    "unsigned": "uint64",
    "list": INT_LISTS,
    "floats in lists": FLOAT_LISTS,
    "early": "bool",
    "null": "null",
    "once": JSON,
    "late": TEXT,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_long_scans(encoding: str) -> None:
    whole = build_table([ENCODINGS[encoding](LONG_ROWS)])
    assert types_of(whole) == LONG_TYPES
    check_table(whole, rows_of_pairs(LONG_ROWS))
    for page_size in (7, 1_000):
        pages = pages_of(encoding, LONG_ROWS, page_size)
        assert same_tables(build_table(pages), whole)
        assert same_tables(build_table(pages, rows=100), whole)
        for threads in (1, 2, 3):
            assert same_tables(build_in_threads(pages, threads), whole)
        backwards = build_table(pages[::-1])
        assert types_of(backwards) == LONG_TYPES
        assert sorted(row["_step"] for row in rows_of(backwards)) == list(range(1_234))


def test_long_logs_in_windows() -> None:
    log = write_rows(LONG_ROWS)
    whole = build_table(windows_of(log, 2**20))
    check_table(whole, rows_of_pairs(LONG_ROWS))
    for blocks in (1, 2, 5):
        assert same_tables(build_table(windows_of(log, blocks * 32_768), rows=999), whole)
        assert same_tables(build_in_threads(list(windows_of(log, blocks * 32_768)), 2), whole)


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 7, 10, 11, 1_000])
@pytest.mark.parametrize("page_size", [1, 3, 10, 1_000])
def test_chunks_have_just_the_rows_asked_for(batch_rows: int, page_size: int) -> None:
    rows = LONG_ROWS[:50]
    expected = [len(part) for part in in_parts(rows, batch_rows)]
    for encoding in ENCODINGS:
        pages = pages_of(encoding, rows, page_size)
        assert [len(chunk) for chunk in build_chunks(pages, keys=None, flatten=False, rows=batch_rows)] == expected
    # Rows that are dicts already, and empty pages between the others.
    lists: list[Page | list[Any]] = [rows_of_pairs(part) for part in in_parts(rows, page_size)]
    chunks = list(build_chunks([[], *lists, [], TextPage([])], keys=None, flatten=False, rows=batch_rows))
    assert [len(chunk) for chunk in chunks] == expected
    check_table(table_of(chunks), rows_of_pairs(rows))


def test_chunks_come_as_soon_as_they_are_full() -> None:
    taken: list[int] = []

    def pages() -> Any:
        for number in range(4):
            taken.append(number)
            yield ENCODINGS["text"]([[("a", "1")]] * 10)

    chunks = build_chunks(pages(), keys=None, flatten=False, rows=10)
    assert len(next(chunks)) == 10
    assert taken == [0]
    assert len(list(chunks)) == 3


def test_a_builder_starts_again_with_each_chunk() -> None:
    builder = ColumnBuilder()
    builder.add_page(ENCODINGS["protobuf"]([[("a", "1"), ("b", "1")]] * 3))
    first = builder.take_chunk()
    assert builder.row_count == 0
    builder.add_page(ENCODINGS["protobuf"]([[("b", "0.5")]]))
    second = builder.take_chunk()
    assert (first.names, second.names) == (["a", "b"], ["b"])
    assert (len(first), len(second)) == (3, 1)
    assert merge_columns([first, second]) == {"a": "l", "b": "g"}
    assert rows_of(table_of([first, second])) == [{"a": 1, "b": 1.0}] * 3 + [{"b": 0.5}]
    assert len(builder.take_chunk()) == 0


def test_parts_of_a_page() -> None:
    for make in ENCODINGS.values():
        page = make([[("a", str(index))] for index in range(10)])
        builder = ColumnBuilder()
        assert builder.add_page(page, 0, 3) == 3
        assert builder.add_page(page, 3, 0) == 3
        assert builder.row_count == 3
        assert builder.add_page(page, 3, 100) == 10
        assert builder.add_page(page, 10) == 10
        assert builder.add_page(page, 9) == 10
        assert [row["a"] for row in rows_of(table_of([builder.take_chunk()]))] == [*range(10), 9]


def test_parts_that_a_page_has_not() -> None:
    builder = ColumnBuilder()
    page = TextPage(['{"a":1}', '{"a":2}'])
    for first in (2, 3, 100):
        builder.add_page(page, first)
        builder.add_page(page, first, 5)
    assert builder.add_page(page, 0, -1) == 0
    assert builder.row_count == 0
    # There is nothing before the first row.
    assert builder.add_page(page, -5) == 2
    assert rows_of(table_of([builder.take_chunk()])) == [{"a": 1}, {"a": 2}]


def test_facts_that_no_column_has_seen() -> None:
    assert column_format(0) == "n"
    assert column_format(sum(1 << bit for bit in range(13))) == JSON_FORMAT
    assert merge_columns([]) == {}


def test_values_that_were_overwritten_count_for_the_type_all_the_same() -> None:
    for encoding in ("text", "history", "sampled", "protobuf", "log"):
        for first, last, type_name in (
            ('"x"', "1", JSON),
            ("0.5", "1", FLOATS),
            ("[1]", '"x"', JSON),
            ("{}", "[0.5]", JSON),
            ("null", "true", "bool"),
            ("[0.5]", "[1]", FLOAT_LISTS),
            ('"NaN"', "1", FLOATS),
        ):
            rows: list[Pairs] = [[("a", first), ("a", last)], [("a", last)]]
            table = build_table([ENCODINGS[encoding](rows)])
            assert types_of(table) == {"a": type_name, **step_types(encoding)}
            check_values(table, rows_of_pairs(rows, encoding))
