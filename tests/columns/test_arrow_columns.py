"""Columns straight from Arrow's buffers: what the rows would give, and raised where they raise."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan import HistoryDecodeError
from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage, take_rows
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import TextPage
from tests.support.arrow_samples import SAMPLES, expected_rows, tables
from tests.support.column_rows import build_table, check_table, in_parts, rows_of
from tests.support.json_corpus import fingerprint


def page_of(table: Any) -> ArrowPage:
    return ArrowPage(read_batches(table))


def check_same(table: Any, keys: Sequence[str] | None = None, *, flatten: bool = False) -> None:
    """Checks that the columns of a page of Arrow's are those of its dict rows."""
    page = page_of(table)
    found = build_table([page], keys, flatten=flatten)
    expected = build_table([page.rows()], keys, flatten=flatten)
    assert found.schema.equals(expected.schema)
    assert fingerprint(rows_of(found)) == fingerprint(rows_of(expected))


@pytest.mark.parametrize("name", SAMPLES)
class TestTypes:
    def table(self, name: str) -> Any:
        array = SAMPLES[name]
        listed = pyarrow.ListArray.from_arrays(pyarrow.array([0] * len(array) + [len(array)], pyarrow.int32()), array)
        structs = pyarrow.StructArray.from_arrays([array, listed], ["a", "b"])
        kept = pyarrow.array([place != 1 for place in range(len(array))])
        holed = pyarrow.StructArray.from_arrays([structs, array], ["a.b", ""], mask=pyarrow.compute.invert(kept))
        return pyarrow.table({"value": array, "list": listed, "struct": structs, "deep": holed})

    def test_values(self, name: str) -> None:
        rows = page_of(self.table(name)).rows()
        check_table(build_table([page_of(self.table(name))]), rows)

    @pytest.mark.parametrize("flatten", [False, True])
    @pytest.mark.parametrize(
        "keys", [None, ["list", "value"], ["struct.b", "deep.a.b.a", "missing", "deep."], ["deep.a.b", "deep.a"]]
    )
    def test_what_rows_give(self, name: str, keys: list[str] | None, flatten: bool) -> None:
        table = self.table(name)
        check_same(table, keys, flatten=flatten)
        for first in range(len(table)):
            check_same(table.slice(first, 2), keys, flatten=flatten)


@given(tables())
def test_any_table(table: Any) -> None:
    check_table(build_table([page_of(table)]), expected_rows(table))


@given(tables(), st.booleans(), st.integers(1, 4))
def test_any_table_in_any_pieces(table: Any, flatten: bool, size: int) -> None:
    page = page_of(table)
    found = build_table([page], flatten=flatten, rows=size)
    expected = build_table(map(list, in_parts(page.rows(), size)), flatten=flatten)
    assert found.schema.equals(expected.schema)
    assert fingerprint(rows_of(found)) == fingerprint(rows_of(expected))


def test_text_of_nested_values() -> None:
    json_texts = pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(['{"a":"é"}', " [ 1.50 ] "]))
    table = pyarrow.table({"s": [{"é": "é\n", "n": None, "f": 1e300}, {}], "j": json_texts, "l": [["é"], [None]]})
    assert build_table([page_of(table)]).to_pydict() == {
        "s": ['{"é": "é\\n", "f": 1e+300}', "{}"],
        "j": ['{"a":"é"}', "[ 1.50 ]"],
        "l": ['["é"]', "[null]"],
    }


def test_batches_whose_rows_take_turns() -> None:
    columns = [{"_step": [0.0, 2.0, 4.0], "a": [0.5, 1.5, 2.5]}, {"b": [[1], [2], [3]], "_step": [1, 3, 5]}]
    batches = []
    for origin, column in enumerate(columns):
        (batch,) = read_batches(pyarrow.table(column))
        batch.origin = origin
        batch.order_by_step(0, 100)
        batches.append(batch)
    page = take_rows(batches)
    table = build_table([page], rows=4)
    check_table(table, page.rows())
    assert table.to_pydict() == {
        "_step": [0, 1, 2, 3, 4, 5],
        "a": [0.5, None, 1.5, None, 2.5, None],
        "b": [None, [1], None, [2], None, [3]],
    }


def test_steps() -> None:
    check_same(pyarrow.table({"_step": [1.0, math.nan, None, -0.0], "a": range(4)}))
    check_same(pyarrow.table({"_step": pyarrow.array([1, None, 2**63 - 1], pyarrow.uint64())}))
    for array in (pyarrow.array([0.0, 1.5]), pyarrow.array([0, 2**63], pyarrow.uint64())):
        builder = ColumnBuilder()
        with pytest.raises(HistoryDecodeError, match=r"the step .*row 1.*\$\._step"):
            builder.add_page(page_of(pyarrow.table({"_step": array})))
        assert builder.row_count == 1


class TestRareKeys:
    """What only the decoder of rows knows how to tell apart."""

    def test_columns_of_one_name(self) -> None:
        arrays = [pyarrow.array([1, 2, None]), pyarrow.array([None, "x", "y"])]
        table = pyarrow.Table.from_arrays(arrays, ["a", "a"])
        check_same(table)
        assert rows_of(build_table([page_of(table)])) == [{"a": 1}, {"a": "x"}, {"a": "y"}]

    def test_dotted_names_that_may_mean_several_members(self) -> None:
        structs = pyarrow.array([{"x.y": 1, "x": {"y": 2}}, {"x.y": None, "x": {"y": 3}}, None])
        table = pyarrow.table({"a": structs, "a.x": pyarrow.array([{"y": 4}, None, {"y": 5}])})
        for keys in (["a.x.y"], ["a.x"], ["a.x.y", "a"], ["a.x", "a.x.y"]):
            for flatten in (False, True):
                check_same(table, keys, flatten=flatten)
        check_same(table, flatten=True)

    def test_members_of_json_text(self) -> None:
        texts = pyarrow.array(['{"x":{"y":1}}', '{"x":2}', "3", None])
        table = pyarrow.table({"j": pyarrow.ExtensionArray.from_storage(pyarrow.json_(), texts), "n": range(4)})
        for keys in (None, ["j.x"], ["j.x.y", "n"], ["j"]):
            for flatten in (False, True):
                check_same(table, keys, flatten=flatten)

    def test_lone_surrogates_in_json_text(self) -> None:
        texts = pyarrow.array(['"\\ud800"', '{"a":"\\udc00"}', '["\\ud800"]'])
        array = pyarrow.ExtensionArray.from_storage(pyarrow.json_(), texts)
        check_same(pyarrow.table({"j": array, "s": pyarrow.StructArray.from_arrays([array], ["j"])}))


def test_types_are_those_of_all_pages() -> None:
    pages = [page_of(pyarrow.table({"a": [1, None]})), page_of(pyarrow.table({"a": [{"b": 2**63 - 1}], "c": [0.5]}))]
    table = build_table([*pages, TextPage(['{"a":"x","c":2}'])])
    assert [json.loads(value) if value else None for value in table.column("a").to_pylist()] == [
        1, None, {"b": 2**63 - 1}, "x",
    ]  # fmt: skip
    assert table.column("c").to_pylist() == [None, None, 0.5, 2.0]


@pytest.mark.parametrize("name", ["json", "text", "list"])
def test_batches_that_were_never_filled(name: str) -> None:
    page = ArrowPage([ArrowBatch.__new__(ArrowBatch), *read_batches(pyarrow.table({name: SAMPLES[name]}))])
    check_table(build_table([page]), page.rows())
