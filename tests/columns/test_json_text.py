"""The text of nested values: as the row has it, whichever way the row was read."""

from __future__ import annotations

import json
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage
from tests.support import wire
from tests.support.column_rows import ENCODINGS, JSON, Pairs, build_table, types_of
from tests.support.encodings import log_page
from tests.support.json_corpus import fingerprint

# White space, numbers, escapes and letters that `json.dumps` would write otherwise.
TEXTS = [
    '{"a":1}',
    '{ "a" : 1 , "b":[1,2] }',
    '[1e5,2.50,1E-7,"x"]',
    '{"\\u0061":"\\u00e9\\/","é":"\\t"}',
    '{"a":1,"a":{"b":[ ]}}',
    "{}",
    "[ ]",
]
SURROGATE = ("odd", '"\\ud800"')
"""A value whose row takes the slow path."""


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", TEXTS)
def test_slow_rows_have_the_same_text(encoding: str, text: str) -> None:
    fast: Pairs = [("mixed", text), ("number", "1")]
    rows = [fast, [*fast, SURROGATE], [SURROGATE, *fast], [("mixed", "true")]]
    table = build_table([ENCODINGS[encoding](rows)])
    assert types_of(table)["mixed"] == JSON
    assert table["mixed"].to_pylist() == [text, text, text, "true"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_that_are_no_utf8_are_escaped(encoding: str) -> None:
    texts = ['{"a" : "\\ud800"}', '["\\ud83d\\ude00", "é"]']
    table = build_table([ENCODINGS[encoding]([[("x", text)] for text in texts])])
    assert table["x"].to_pylist() == ['{"a": "\\ud800"}', '["😀", "é"]']


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_flattened_values_have_their_text(encoding: str) -> None:
    row = [("x", '{"a":["é" ,1],"b":{ "c":[ ],"d":{}}}'), ("y", '["é" ,1]')]
    table = build_table(
        [ENCODINGS[encoding]([row, [*row, SURROGATE], [("y", "1"), ("x", '{"b":{"c":"z"}}')]])], flatten=True
    )
    assert table["x.a"].to_pylist() == ['["é" ,1]', '["é" ,1]', None]
    assert table["x.b.c"].to_pylist() == ["[ ]", "[ ]", '"z"']
    assert table["x.b.d"].to_pylist() == ["{}", "{}", None]
    assert table["y"].to_pylist() == ['["é" ,1]', '["é" ,1]', "1"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_values_below_requested_names_have_their_text(encoding: str) -> None:
    rows = [[("x", '{"a":{"b":{"c":[1 ,"é"]}}}')], [("x", '{"a.b":{"c":{"é":0}}}')]]
    table = build_table([ENCODINGS[encoding](rows)], ["x.a.b.c", "x.a"])
    assert table["x.a.b.c"].to_pylist() == ['[1 ,"é"]', '{"é":0}']
    assert table["x.a"].to_pylist() == ['{"b":{"c":[1 ,"é"]}}', None]


def test_items_below_a_name_have_one_text() -> None:
    items = [(["x", "b"], "[1 , 2]"), (["x", "é", "y"], " {} "), (["x", "a"], '"s"')]
    text = '{"a":"s","b":[1 , 2],"é":{"y": {} }}'
    odd = [(["odd"], SURROGATE[1])]
    # Of a name that is also an item of its own, all rows from then on take the slow path.
    records = [items, [*items, *odd], [(["x"], "1")], items, [(["x"], "[ ]")], [(["x"], '{"z":1}'), (["x", "b"], "2")]]
    table = build_table([log_page(wire.write_log(map(wire.history_record, records)))])
    assert table["x"].to_pylist() == [text, text, "1", text, "[ ]", '{"z": 1, "b": 2}']


def test_arrow_rows_have_the_same_text_beside_bytes() -> None:
    values = [{"a": [1.0, 1e5, 1e-5, 0.0001, None], "b": "é\n\x07"}, {"a": [], "b": '"'}]
    nested = pyarrow.array(values)
    texts = pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(['{"a":1}', "[1 ,2]"]))
    for more in ({}, {"bytes": pyarrow.array([b"\xff", b""])}):
        table = build_table([ArrowPage(read_batches(pyarrow.table({"nested": nested, "json": texts, **more})))])
        assert table["nested"].to_pylist() == [json.dumps(value, ensure_ascii=False) for value in values]
        assert table["json"].to_pylist() == ['{"a":1}', "[1 ,2]"]


@given(st.lists(st.floats() | st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_mixed_columns_are_written_as_python_writes_them(values: list[Any]) -> None:
    rows = [{"x": value} for value in (True, *values)]
    table = build_table([rows])
    assert table["x"].to_pylist() == ["true", *(json.dumps(value, ensure_ascii=False) for value in values)]
    nested = pyarrow.array([{"x": values[0]}])
    table = build_table([ArrowPage(read_batches(pyarrow.table({"n": nested})))])
    assert fingerprint(table["n"].to_pylist()) == fingerprint([json.dumps({"x": values[0]}, ensure_ascii=False)])
