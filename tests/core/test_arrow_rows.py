"""Dict rows straight from Arrow's buffers are what pyarrow makes of them, in the order of their steps if asked for."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pyarrow
import pytest
from hypothesis import given

from histscan import HistoryDecodeError
from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage, take_rows
from tests.support.arrow_samples import SAMPLES, expected_rows, same, tables


def table_of(array: Any, name: str = "column") -> Any:
    return pyarrow.table({name: array})


def rows_of(source: Any, **options: Any) -> list[dict[str, Any]]:
    return ArrowPage(read_batches(source, **options)).rows()


@pytest.mark.parametrize("name", SAMPLES)
class TestTypes:
    def test_whole(self, name: str) -> None:
        table = table_of(SAMPLES[name])
        expected = expected_rows(table)
        # What pyarrow gives for JSON's null is the text; rows have the value.
        if "json" in name:
            expected[3] = {"column": None}
        assert same(rows_of(table), expected)

    def test_slices(self, name: str) -> None:
        array = pyarrow.concat_arrays([SAMPLES[name]] * 5) if "dictionary" not in name else SAMPLES[name]
        whole = rows_of(table_of(array))
        for first in range(len(array)):
            assert same(rows_of(table_of(array.slice(first, 4))), whole[first : first + 4])

    def test_within_structs_and_lists(self, name: str) -> None:
        array = SAMPLES[name]
        cells = [row.get("column") for row in rows_of(table_of(array))]
        struct_array = pyarrow.StructArray.from_arrays([array, array], ["a", "b"])
        for first in range(len(array)):
            row = rows_of(table_of(struct_array.slice(first, 1)))[0]["column"]
            has_value = name != "null" and array[first].is_valid
            assert same(row, {"a": cells[first], "b": cells[first]} if has_value else {})
        listed = pyarrow.ListArray.from_arrays(pyarrow.array([1, len(array)], pyarrow.int32()), array)
        assert same(rows_of(table_of(listed)), [{"column": cells[1:]}])


@given(tables())
def test_any_table(table: Any) -> None:
    assert same(rows_of(table), expected_rows(table))


def test_key_order_and_shape_of_rows() -> None:
    table = pyarrow.table({"b": [1, None, 1, None], "a": [None, 2, 2, None]})
    rows = rows_of(table)
    assert [list(row) for row in rows] == [["b"], ["a"], ["b", "a"], []]
    assert all(list(row) == list(again) for row, again in zip(rows, rows_of(table), strict=True))


def test_more_keys_than_templates_have_room_for() -> None:
    table = pyarrow.table({f"key {place}": [place, None if place % 3 else place, place] for place in range(700)})
    assert rows_of(table) == expected_rows(table)


def test_more_shapes_than_templates_are_kept_of() -> None:
    table = pyarrow.table(
        {f"bit {bit}": [1 if number >> bit & 1 else None for number in range(256)] for bit in range(8)}
    )
    assert rows_of(table) == expected_rows(table)


def test_timestamps_beyond_what_datetime_holds() -> None:
    array = pyarrow.array([-(2**63), 2**63 - 1, 1_000_000_001, 1_000], pyarrow.timestamp("ns", "Europe/Berlin"))
    assert [row["column"] for row in rows_of(table_of(array))] == [
        "1677-09-21T00:12:43.145224192+00:00",
        "2262-04-11T23:47:16.854775807+00:00",
        "1970-01-01T00:00:01.000000001+00:00",
        "1970-01-01T00:00:00.000001+00:00",
    ]
    far = pyarrow.array([2**40, -(2**40)], pyarrow.timestamp("s"))
    assert [row["column"] for row in rows_of(table_of(far))] == ["+036812-02-20T00:36:16", "-032873-11-12T23:23:44"]


@pytest.mark.parametrize("count", [3, 600])
def test_gaps_that_are_filled(count: int) -> None:
    table = pyarrow.table(
        {
            "_step": [0, 1, 2],
            "nested": pyarrow.array([{"x": 1}, {"x": None}, None]),
            "number": [None, 2, None],
            **{f"k{place}": pyarrow.array([None, None, float(place)]) for place in range(count)},
        }
    )
    keys = ["number", "_step", "nested.x", "no such key", *(f"k{place}" for place in range(count))]
    (source,) = table.to_batches()
    rows = ArrowPage([ArrowBatch(source, keys=keys, fills_gaps=True)]).rows()
    keys.remove("no such key")
    values = {**{key: table.column(key).to_pylist() for key in keys if key != "nested.x"}, "nested.x": [1, None, None]}
    assert rows == [{key: values[key][place] for key in keys} for place in range(3)]
    assert [list(row) for row in rows] == [keys] * 3
    # Without keys, rows have all columns.
    rows = ArrowPage([ArrowBatch(source, fills_gaps=True)]).rows()
    assert [list(row) for row in rows] == [table.column_names] * 3


class TestKeys:
    TABLE = pyarrow.table(
        {
            "a.b": [1, None, 3],
            "a": [{"b": 10, "c": {"d": 1}}, {"b": 20, "c": None}, None],
            "j": pyarrow.ExtensionArray.from_storage(
                pyarrow.json_(), pyarrow.array(['{"x":{"y":1},"x.y":2}', '{"x":null}', None])
            ),
        }
    )

    def test_members(self) -> None:
        rows = rows_of(self.TABLE, keys=["j.x", "a.c.d", "a.b", "a.c", "j.x.y"])
        assert rows == [
            {"j.x": {"y": 1}, "a.c.d": 1, "a.b": 1, "a.c": {"d": 1}, "j.x.y": 2},
            {"j.x": None},
            {"a.b": 3},
        ]
        assert [list(row) for row in rows[:1]] == [["j.x", "a.c.d", "a.b", "a.c", "j.x.y"]]

    def test_missing(self) -> None:
        (batch,) = read_batches(self.TABLE, keys=["a.x", "a.b.c", "nothing", "a"])
        assert batch.layout.missing == ["a.x", "a.b.c", "nothing"]
        assert batch.layout.names == ["a.b", "a", "j"]

    def test_last_values(self) -> None:
        page = ArrowPage(read_batches(self.TABLE))
        assert page.last_values() == {"a.b": 3, "a": {"b": 20}, "j": {"x": None}}


class TestSteps:
    def ordered(self, *columns: dict[str, Any], low: int = 0, stop: int = 100, required: tuple[str, ...] = ()) -> Any:
        batches = []
        for origin, column in enumerate(columns):
            for batch in read_batches(pyarrow.table(column), required=required):
                batch.origin = origin
                batch.order_by_step(low, stop)
                batches.append(batch)
        return take_rows(batches)

    def test_order_range_and_rows_without_steps(self) -> None:
        page = self.ordered({"_step": [5.0, None, 3.0, math.nan, 3.0, 9.0], "n": range(6)}, stop=9)
        assert page.rows() == [{"_step": 3, "n": 2}, {"_step": 3, "n": 4}, {"_step": 5, "n": 0}]
        assert page.segments() == [(0, 2, 1), (0, 4, 1), (0, 0, 1)]

    def test_repeated_rows(self) -> None:
        page = self.ordered(
            {"_step": [1, 1, 2, 3], "a": [math.nan, math.nan, 1.0, 0.0]},
            {"a": [math.nan, 1.0, None], "_step": [1.0, 2.0, 3.0]},
        )
        nan = math.nan
        assert same(
            page.rows(),
            [
                {"_step": 1, "a": nan},
                {"_step": 1, "a": nan},
                {"_step": 2, "a": 1.0},
                {"_step": 3, "a": 0.0},
                {"_step": 3},
            ],
        )

    def test_values_that_are_equal_but_not_the_same(self) -> None:
        page = self.ordered({"_step": [1], "a": [True]}, {"_step": [1], "a": [1]})
        assert len(page) == 2

    def test_required(self) -> None:
        columns = {"_step": [1, 2, 3], "a": [{"b": 1}, {"b": None}, None]}
        assert self.ordered(columns, required=("a.b",)).rows() == [{"_step": 1, "a": {"b": 1}}]
        assert len(self.ordered(columns, required=("a", "c"))) == 0

    @pytest.mark.parametrize("step", [1.5, math.inf, 1e300])
    def test_steps_that_are_none(self, step: float) -> None:
        with pytest.raises(HistoryDecodeError, match=r"not a whole number .*row 1.*\$\._step"):
            self.ordered({"_step": [1.0, step]})

    def test_step_beyond_int64(self) -> None:
        with pytest.raises(HistoryDecodeError, match="signed 64-bit integer"):
            self.ordered({"_step": pyarrow.array([2**63], pyarrow.uint64())})

    def test_no_steps(self) -> None:
        with pytest.raises(HistoryDecodeError, match="no `_step` column"):
            self.ordered({"a": [1]})
        with pytest.raises(HistoryDecodeError, match=r"steps are not numbers .*\$\._step"):
            self.ordered({"_step": ["1"]})


@pytest.mark.parametrize(
    "array",
    [
        pyarrow.array([{"a": 1}], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        pyarrow.array([1], pyarrow.decimal128(5)),
        pyarrow.array([datetime.timedelta(1)]),
        pyarrow.array([[[1]]], pyarrow.list_(pyarrow.list_(pyarrow.decimal128(5)))),
    ],
    ids=str,
)
def test_types_that_rows_cannot_have(array: Any) -> None:
    with pytest.raises(HistoryDecodeError, match=r"Arrow type .*at `\$\['odd one'\]`"):
        rows_of(table_of(array, "odd one"))
    table = pyarrow.table({"odd one": array, "fine": [1]})
    assert rows_of(table, keys=["fine"]) == [{"fine": 1}]


def test_type_nested_beyond_reason() -> None:
    kind = pyarrow.int64()
    for _ in range(101):
        kind = pyarrow.list_(kind)
    with pytest.raises(HistoryDecodeError, match="nested more than 100 deep"):
        rows_of(table_of(pyarrow.nulls(1, kind)))


def test_single_columns_are_refused() -> None:
    with pytest.raises(HistoryDecodeError, match="must be record batches"):
        ArrowBatch(pyarrow.array([1]))
