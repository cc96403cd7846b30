"""Rows made into columns and back are the rows that they were, whatever brought them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import histscan
from histscan._core.pages.formats import HistoryPage, ProtobufPage, TextPage
from histscan._core.pages.page import Page
from tests.support import wire
from tests.support.column_rows import (
    ENCODINGS,
    FLOATS,
    JSON,
    Pairs,
    build_table,
    check_table,
    check_values,
    in_parts,
    row_text,
    rows_of,
    rows_of_pairs,
    step_types,
    takes,
    types_of,
    windows_of,
    write_rows,
)
from tests.support.column_strategies import column_names, column_rows
from tests.support.encodings import history_body, log_page
from tests.support.json_corpus import CORPUS, fingerprint, is_json, is_utf8
from tests.support.json_strategies import json_values
from tests.support.paths import DATA

READABLE = [text for text in CORPUS if is_json(text)]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(rows=column_rows())
@settings(max_examples=40)
def test_rows_come_back(encoding: str, rows: list[Pairs]) -> None:
    if takes(encoding, rows):
        page = ENCODINGS[encoding](rows)
        expected = page.rows()
        assert fingerprint(expected) == fingerprint(rows_of_pairs(rows, encoding))
        check_table(build_table([page]), expected)


@given(column_rows(max_columns=3), st.lists(st.sampled_from(list(ENCODINGS)), min_size=4, max_size=4))
@settings(max_examples=80)
def test_pages_of_all_kinds_in_one_scan(rows: list[Pairs], encodings: list[str]) -> None:
    parts = in_parts(rows, 1 + len(rows) // 4)
    pages: list[Page | list[Any]] = [
        ENCODINGS[encoding](part) for encoding, part in zip(encodings, parts, strict=False) if takes(encoding, part)
    ]
    pages.insert(1, rows_of_pairs(rows))
    expected = [row for page in pages for row in (page if isinstance(page, list) else page.rows())]
    check_table(build_table(pages), expected)


@given(st.lists(st.dictionaries(column_names, json_values, max_size=4), max_size=6))
@settings(max_examples=80)
def test_dict_rows_come_back(rows: list[dict[str, Any]]) -> None:
    # Of the many NaNs that a float can be, JSON has one.
    rows = json.loads(json.dumps(rows))
    check_table(build_table([rows]), rows)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_text_of_the_corpus_in_a_column_of_its_own(encoding: str) -> None:
    for text in READABLE:
        rows = [[("a", text), ("b", "1")], [("b", "2")], [("b", "3"), ("a", text)]]
        if takes(encoding, rows):
            check_table(build_table([ENCODINGS[encoding](rows)]), rows_of_pairs(rows, encoding))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_all_texts_of_the_corpus_in_one_column(encoding: str) -> None:
    rows = [[("a", text)] for text in READABLE if takes(encoding, [[("a", text)]])]
    table = build_table([ENCODINGS[encoding](rows)])
    assert types_of(table) == {"a": JSON, **step_types(encoding)}
    check_values(table, rows_of_pairs(rows, encoding))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "first", ["1", "0.5", '"NaN"', "true", '"text"', "[1]", "[0.5]", '{"a":1}', "NaN", str(2**64 - 1)]
)
def test_each_text_of_the_corpus_beside_another_kind(encoding: str, first: str) -> None:
    for text in READABLE:
        rows = [[("a", first)], [("a", text)]]
        if len(text) < 1_000 and takes(encoding, rows):
            check_table(build_table([ENCODINGS[encoding](rows)]), rows_of_pairs(rows, encoding))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_keys_given_twice_in_a_row(encoding: str) -> None:
    for first in ("1", '"x"', "null", '"\\ud800"', "[1,2]", '{"b":1}'):
        for last in ("2", '"yy"', "null", '"\\udc00"', "[]", '{"c":[]}', "true"):
            rows: list[Pairs] = [[("a", first), ("b", "1"), ("a", last)], [("a", last), ("a", first), ("b", "2")]]
            check_values(build_table([ENCODINGS[encoding](rows)]), rows_of_pairs(rows, encoding))


def test_keys_spelt_in_several_ways_are_one_column() -> None:
    texts = ['{"ab":1}', r'{"\u0061b":2}', r'{"a\u0062":3}', '{ "ab" : 4}', '{"ab" :5}', r'{"\u0061\u0062":6}'] * 3
    for page in (TextPage(texts), HistoryPage(history_body(texts))):
        check_table(build_table([page]), [json.loads(text) for text in texts])


def test_more_keys_than_are_remembered() -> None:
    rows: list[Pairs] = [
        [(f"key{index}", str(index)) for index in range(start, start + 300)] for start in range(0, 12_000, 300)
    ]
    rows.append([(f"key{index}", "0.5") for index in range(11_990, 12_010)])
    for encoding in ("text", "protobuf", "log, nested key"):
        check_table(build_table([ENCODINGS[encoding](rows)]), rows_of_pairs(rows, encoding))


def test_keys_too_long_to_be_remembered() -> None:
    for length in (4_085, 4_090, 4_092, 4_096, 5_000):
        rows: list[Pairs] = [[("k" * length, str(index)), ("a", '"\\n"'), ("é" * length, "1.5")] for index in range(4)]
        for encoding, page in ENCODINGS.items():
            assert takes(encoding, rows)
            check_table(build_table([page(rows)]), rows_of_pairs(rows, encoding))


# Names of nested items, the last of which may be the first of others.
_names = st.sampled_from(["a", "b", "c", "a.b", "", 'q"', "é\n", "\0"])
_leaves = st.sampled_from(
    [
        "1",
        "0.5",
        "null",
        '"x"',
        '"NaN"',
        "[1]",
        "[]",
        "{}",
        '{"a":1}',
        ' {"b" : {"c": null}} ',
        '"\\ud800"',
        "NaN",
        "true",
    ]
)
_paths = st.lists(_names, min_size=1, max_size=4)


@given(st.lists(st.lists(st.tuples(_paths, _leaves), max_size=6), min_size=1, max_size=5))
@settings(max_examples=250)
def test_nested_items_of_logs_come_back(rows: list[list[tuple[list[str], str]]]) -> None:
    # NUL is a name within a column here, never a column's own.
    rows = [[(path, text) for path, text in row if path[0] != "\0"] for row in rows]
    page = log_page(wire.write_log(wire.history_record(row) for row in rows * 2))
    check_values(build_table([page]), page.rows())


def test_typed_items_of_logs_come_back() -> None:
    key, other = wire.field(1, "a"), wire.field(1, "b")
    items = [
        key + wire.varint_field(5, 2 * 7),
        key + wire.fixed64_field(6, 1.5),
        key + wire.field(7, "text é"),
        key + wire.field(8, '{"c":[1]}'),
        key + wire.varint_field(4, 1),
        key + wire.varint_field(3, 0),
        key + wire.fixed64_field(6, float("nan")) + wire.field(16, "2"),
        wire.field(16, "[1,2]") + key,
        wire.field(2, "n") + wire.field(2, "m") + wire.fixed64_field(6, -0.0),
    ]
    rows = [wire.field(1, item) + wire.field(1, other + wire.field(16, "1")) for item in items]
    page = log_page(wire.write_log(wire.field(wire.HISTORY, row) for row in rows))
    expected = page.rows()
    assert expected[1] == {"a": 1.5, "b": 1, "_step": 1}
    assert expected[-1] == {"n": {"m": -0.0}, "b": 1, "_step": len(rows) - 1}
    check_table(build_table([page]), expected)
    # Each alone, so that no other decides the type.
    for row in rows:
        page = log_page(wire.write_log([wire.field(wire.HISTORY, row)]))
        check_table(build_table([page]), page.rows())


@pytest.mark.parametrize("name", ["default-encoding", "typed-encoding"])
def test_recorded_logs_come_back(name: str) -> None:
    run = histscan.open(DATA / f"{name}.wandb")
    rows = list(run.scan_history())
    assert len(rows) == 50
    table = run.to_arrow()
    check_table(table, rows, of_run=True)
    assert FLOATS in types_of(table).values()


def test_records_that_reach_over_windows() -> None:
    draw = range(200)
    rows: list[Pairs] = [
        [("_step", str(step)), ("text", json.dumps("é" * (step * 37 % 5_000))), ("a", "[1]")] for step in draw
    ]
    log = write_rows(rows)
    for size in (wire.BLOCK_SIZE, 3 * wire.BLOCK_SIZE):
        assert len(list(windows_of(log, size))) > 10
        check_table(build_table(windows_of(log, size)), rows_of_pairs(rows))


def test_items_written_in_any_order_of_fields() -> None:
    key, value, junk = wire.field(1, "a"), wire.field(16, "1.5"), wire.varint_field(9, 300)
    items = [key + value, value + key, junk + key + value, key + junk + value, key + value + junk, key + key + value]
    items += [key + value + wire.field(16, "2.5"), value, wire.field(1, "") + value, key + wire.field(16, " [ 1 ] ")]
    for item in items:
        data = b"".join(wire.field(1, wire.field(1, some)) for some in (item, key + value, item, item))
        page = ProtobufPage(data)
        check_table(build_table([page]), page.rows())
        log = log_page(wire.write_log([wire.field(wire.HISTORY, wire.field(1, item))] * 3))
        check_table(build_table([log]), log.rows())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_without_members(encoding: str) -> None:
    shapes: list[list[Pairs]] = [[], [[]], [[], []], [[], [("a", "1")], []]]
    for rows in shapes:
        page = ENCODINGS[encoding](rows)
        table = build_table([page])
        assert table.num_rows == len(rows)
        check_table(table, page.rows())


def test_no_pages_are_no_rows() -> None:
    table = build_table([])
    assert (table.num_rows, table.num_columns) == (0, 0)


def check_number_texts(rows: Sequence[Pairs]) -> None:
    for encoding, make in ENCODINGS.items():
        check_table(build_table([make(rows)]), rows_of_pairs(rows, encoding))


def test_nan_in_quotes_is_a_float_among_numbers_and_text_among_text() -> None:
    check_number_texts(
        [[("a", "1"), ("b", '"x"'), ("c", '"NaN"')], [("a", '"NaN"'), ("b", '"NaN"'), ("c", '"Infinity"')]]
    )
    check_number_texts([[("a", '"-Infinity"'), ("b", "true")], [("a", "-Infinity"), ("b", '"NaN"')], [("a", "null")]])
    check_number_texts([[("a", str(2**53 + 1))], [("a", '"NaN"')]])
    check_number_texts([[("a", "[1]")], [("a", '"NaN"')]])
    check_number_texts([[("a", '"nan"')], [("a", "1")]])
    check_number_texts([[("a", r'"\u004eaN"')], [("a", "1")]])
    check_number_texts([[("a", r'"\u004eaN"'), ("b", r'"\ud800"')], [("a", "1")]])


def test_null_and_absent_are_null_and_nan_is_neither() -> None:
    rows: list[Pairs] = [[("a", "NaN")], [("a", "null")], [], [("a", "1")]]
    for encoding in ENCODINGS.values():
        column = build_table([encoding(rows)]).column("a")
        assert column.null_count == 2
        assert [str(value) for value in column.to_pylist()] == ["nan", "None", "None", "1.0"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_with_nuls_and_everything_else(encoding: str) -> None:
    everything = "".join(map(chr, [*range(0x3000), *range(0xE000, 0xE100), *range(0xFF00, 0x10100), 0x1F600, 0x10FFFF]))
    rows: list[Pairs] = [
        [("a", json.dumps(everything))],
        [("a", '"\\u0000"')],
        [("a", '""')],
        [("a", json.dumps(everything, ensure_ascii=False))],
    ]
    check_table(build_table([ENCODINGS[encoding](rows)]), rows_of_pairs(rows, encoding))


def test_keys_with_surrogates_and_nuls_stay_apart() -> None:
    row = r'{"\ud800":1,"?":2,"\ud801":3,"a\u0000b":4,"a":5,"a\u0000c":6,"\ufffd":7}'
    for page in (TextPage([row] * 3), HistoryPage(history_body([row] * 3)), json.loads(f"[{row},{row},{row}]")):
        table = build_table([page])
        assert len(types_of(table)) == 7
        for name, value in {"?": 2, "a": 5, "\ufffd": 7}.items():
            assert table.column(name).to_pylist() == [value] * 3
        assert sorted(value for row in rows_of(table)[:1] for value in row.values()) == [1, 2, 3, 4, 5, 6, 7]


def test_text_pages_with_bare_surrogates() -> None:
    rows: list[Pairs] = [[("a", '"\ud800"'), ("b", "1")], [("a", '"x"'), ("b", "2")], [("a", '"\udc00\\n"')]]
    assert not is_utf8(row_text(rows[0]))
    check_table(build_table([TextPage([*map(row_text, rows)])]), rows_of_pairs(rows))
