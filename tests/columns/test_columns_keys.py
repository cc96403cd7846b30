"""Exactly the requested keys become columns, in their order; nested values can be columns of their own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.column_rows import (
    ENCODINGS,
    JSON,
    Pairs,
    build_table,
    check_table,
    check_values,
    pages_of,
    rows_of,
    rows_of_pairs,
    step_types,
    types_of,
)
from tests.support.encodings import history_body, log_page
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import Row
from tests.support.selected_rows import check_keys, flat, selected

ROWS: list[Pairs] = [
    [("_step", "0"), ("loss", "0.5"), ("text", '"é"'), ("val", '{"loss":1,"acc":{"top1":2}}')],
    [("loss", "NaN"), ("_step", "1"), ("val", "null")],
    [("text", '"\\ud800"'), ("_step", "2"), ("val", '{"loss":"\\ud800"}')],
    [("_step", "3"), ("other", "[1]"), ("val", '{"loss":2}'), ("val.loss", "7")],
    [("val.loss", "9"), ("_step", "4"), ("val", '{"loss":2.5,"acc":{"top1":3}}')],
    [],
    [("_step", "5"), ("val", "1"), ("loss", '"NaN"')],
]
KEYS = [
    [],
    ["_step"],
    ["loss", "_step"],
    ["_step", "loss"],
    ["never", "loss", "never again"],
    ["never"],
    ["loss", "loss"],
    ["val"],
    ["val.loss"],
    ["val.acc.top1", "val.acc"],
    ["val", "val.loss", "loss"],
    ["val.loss", "val"],
    ["val.never", "text"],
    ["val."],
    [".val", "v", "va", "vals"],
    [""],
    ["_step", "loss", "text", "val", "other"],
]


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: " ".join(keys) or "none")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_keys(encoding: str, keys: list[str]) -> None:
    for rows in (ROWS, ROWS[::-1], *([row] * 3 for row in ROWS)):
        check_keys(ENCODINGS[encoding](rows), keys)


names = st.sampled_from(["a", "b", "c", "d.e", "", 'q"'])
leaves = st.sampled_from(
    ["1", "0.5", "null", '"x"', '"\\ud800"', "[1]", "{}", "true", '{"b":{"c":5}}', '{"a":1,"b":2}']
)
wanted = st.lists(
    st.sampled_from(["a", "b", "a.b", "a.b.c", "b.a", "a.a", "c", "d.e", "a.d.e", "", ".a", "a.", 'q"', "z"]),
    max_size=5,
)


@given(
    st.lists(st.dictionaries(names, leaves, max_size=4).map(lambda row: [*row.items()]), min_size=1, max_size=5), wanted
)
@settings(max_examples=100)
def test_keys_of_rows_of_any_kind(rows: list[Pairs], keys: list[str]) -> None:
    for make in ENCODINGS.values():
        check_keys(make(rows), keys)


@given(
    st.lists(st.lists(st.tuples(st.lists(names, min_size=1, max_size=3), leaves), max_size=5), min_size=1, max_size=4),
    wanted,
)
@settings(max_examples=250)
def test_keys_of_nested_items(rows: list[list[tuple[list[str], str]]], keys: list[str]) -> None:
    # Of paths that lead into each other, values that were replaced count for the type.
    check_keys(log_page(wire.write_log(wire.history_record(row) for row in rows * 2)), keys, types=False)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_keys_are_columns_even_where_there_are_no_rows(encoding: str) -> None:
    table = build_table([ENCODINGS[encoding]([])], ["b", "a"])
    assert types_of(table) == {"b": "null", "a": "null"}
    assert table.num_rows == 0


def test_keys_in_parts() -> None:
    for keys in KEYS:
        for encoding, make in ENCODINGS.items():
            whole = build_table([make(ROWS)], keys)
            parts = build_table(pages_of(encoding, ROWS, 2), keys, rows=3)
            assert parts.schema == whole.schema
            assert fingerprint(rows_of(parts)) == fingerprint(rows_of(whole))


MALFORMED_INSIDE = [r'"\x"', r'"\u12"', '"\\ud83d\\u12"']
MALFORMED = [*MALFORMED_INSIDE, "", "nul", "01", "[1,]", '{"a":1', '"', "1 2", "{]"]


def test_values_of_messages_that_were_not_requested_are_not_read() -> None:
    for text in [*MALFORMED, "[" * 10_000]:
        rows: list[Pairs] = [[("a", "1"), ("b", text)], [("b", text), ("a", "2")], [("a", "3")]]
        for encoding in ("protobuf", "log", "log, nested key"):
            page = ENCODINGS[encoding](rows)
            with pytest.raises(HistoryDecodeError):
                page.rows()
            with pytest.raises(HistoryDecodeError):
                build_table([page])
            for keys in (["a"], ["a", "c"]):
                assert build_table([page], keys).column("a").to_pylist() == [1, 2, 3]
    data = b"".join(
        wire.field(1, wire.field(1, wire.field(1, key) + wire.field(16, value)))
        for key, value in [(b"a", b"1"), (b"b", b'"\xff"')]
    )
    assert build_table([ProtobufPage(data)], ["a"]).column("a").to_pylist() == [1, None]


def test_text_that_was_not_requested_must_be_json() -> None:
    for text in MALFORMED:
        rows = ['{"a":1,"b":' + text + "}", '{"b":' + text + ',"a":2}']
        for page in (TextPage(rows), HistoryPage(history_body(rows))):
            with pytest.raises(HistoryDecodeError) as of_rows:
                page.rows()
            if text in MALFORMED_INSIDE:
                # But the escapes of strings that were not requested are not checked.
                assert build_table([page], ["a"]).column("a").to_pylist() == [1, 2]
                continue
            with pytest.raises(HistoryDecodeError) as of_columns:
                build_table([page], ["a"])
            assert str(of_columns.value) == str(of_rows.value)
    body = b'{"data":{"project":{"run":{"sampledHistory":[[{"a":1,"b":"\xff"}]]}}}}'
    assert build_table([SampledPage(body)], ["a"]).column("a").to_pylist() == [1]


def rebuilt(row: Row) -> Row:
    """Puts a flat row together again."""
    members: Row = {}
    for name, value in row.items():
        *path, last = name.split(".")
        level = members
        for key in path:
            level = level.setdefault(key, {})
        level[last] = value
    return members


def without_nulls(row: Row) -> Row:
    """A row without nulls, and without the objects that were of nothing else."""
    members: Row = {}
    for key, value in row.items():
        kept = without_nulls(value) if isinstance(value, dict) and value else value
        if kept is not None and not (kept == {} and value != {}):
            members[key] = kept
    return members


flat_names = st.sampled_from(["a", "b", "c", "", "é"])
flat_leaves = st.sampled_from(
    ["1", "0.5", "null", '"x"', '"\\ud800"', "[1]", '[{"a":1}]', "{}", "NaN", '"NaN"', "true"]
)
flat_values = st.recursive(
    flat_leaves,
    lambda inner: st.dictionaries(flat_names, inner, max_size=3).map(
        lambda members: "{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in members.items()) + "}"
    ),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(flat_names, flat_values, max_size=4).map(lambda row: [*row.items()]), max_size=5))
@settings(max_examples=60)
def test_nested_values_as_columns_of_their_own(rows: list[Pairs]) -> None:
    for encoding, make in ENCODINGS.items():
        table = build_table([make(rows)], flatten=True)
        expected = rows_of_pairs(rows, encoding)
        check_table(table, [flat(row) for row in expected])
        if "NaN" not in str(rows):
            back = [rebuilt(row) for row in rows_of(table)]
            assert back == [without_nulls(row) for row in expected]
        cut = build_table(pages_of(encoding, rows, 1), flatten=True, rows=2)
        assert cut.schema == table.schema
        assert fingerprint(rows_of(cut)) == fingerprint(rows_of(table))


@given(st.lists(st.lists(st.tuples(st.lists(flat_names, min_size=1, max_size=3), flat_values), max_size=5), max_size=4))
@settings(max_examples=250)
def test_nested_items_as_columns_of_their_own(rows: list[list[tuple[list[str], str]]]) -> None:
    page = log_page(wire.write_log(wire.history_record(row) for row in rows * 2))
    table = build_table([page], flatten=True)
    check_values(table, [flat(row) for row in page.rows()])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("space", [" ", "\t\r\n "])
def test_nested_values_behind_white_space(encoding: str, space: str) -> None:
    rows: list[Pairs] = [[("n", space + '{"x":1}'), ("b", space + "2")], [("n", '{"x":3}')], [("n", space + '{"x":4}')]]
    for keys in (None, ["n"], ["n.x"], ["b", "n.x"]):
        page = ENCODINGS[encoding](rows * 2)
        expected = [flat(row if keys is None else selected(row, keys)) for row in page.rows()]
        table = build_table([page], keys, flatten=True)
        assert table.column("n.x").type == "int64"
        check_values(table, expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_flat_columns_of_some_keys(encoding: str) -> None:
    for keys in KEYS:
        page = ENCODINGS[encoding](ROWS)
        table = build_table([page], keys, flatten=True)
        expected = [flat(selected(row, keys)) for row in page.rows()]
        assert table.num_rows == len(ROWS)
        if not ("val" in keys and "val.loss" in keys):
            check_values(table, expected)


def test_objects_alone_make_no_column() -> None:
    for encoding, make in ENCODINGS.items():
        rows: list[Pairs] = [[("n", '{"x":1,"y":{"z":"\\ud800"}}'), ("b", "2")]] * 3
        types = types_of(build_table([make(rows)], flatten=True))
        assert types == {"n.x": "int64", "n.y.z": JSON, "b": "int64", **step_types(encoding)}
    records = [wire.history_record([(["n", "x"], "1"), (["n", "y", "z"], "2"), ("b", "3")])] * 3
    table = build_table([log_page(wire.write_log(records))], flatten=True)
    assert types_of(table) == {"n.x": "int64", "n.y.z": "int64", "b": "int64", "_step": "int64"}


def test_a_dotted_key_and_a_nested_one_share_a_column() -> None:
    rows: list[Pairs] = [[("n", '{"x":1}'), ("n.x", "2")], [("n.x", "3"), ("n", '{"x":4}')], [("n.x", "5")]]
    for make in ENCODINGS.values():
        assert build_table([make(rows)], flatten=True).column("n.x").to_pylist() == [2, 4, 5]
