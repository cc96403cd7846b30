"""Rows on a common axis, against plain Python, pandas and numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy
import pandas
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan.series import align_rows
from tests.support.series_tables import TYPES, SeriesTable, as_table, plain_floats, series_tables

Row = dict[str, Any]

OTHERS = ["loss", "epoch", "note", "best"]


def is_place(x: float | None) -> bool:
    return x is not None and math.isfinite(x)


def outer(run: list[Row], x: str) -> list[Row]:
    """The last value of each key at each x, in the order of x."""
    merged: dict[float, Row] = {}
    for row in sorted((row for row in run if is_place(row[x])), key=lambda row: row[x]):
        place = merged.setdefault(row[x], dict.fromkeys(row))
        place.update({key: value for key, value in row.items() if value is not None})
    return list(merged.values())


def filled(rows: list[Row], keys: list[str]) -> list[Row]:
    last: Row = {}
    result = []
    for row in rows:
        last.update({key: value for key, value in row.items() if value is not None})
        result.append(row | {key: last.get(key) for key in keys})
    return result


def runs_of(table: Any, offsets: list[int]) -> list[list[Row]]:
    rows = table.to_pylist()
    return [rows[begin:end] for begin, end in pairwise(offsets)]


def pandas_runs(series: SeriesTable) -> Iterator[Any]:
    """Each run's rows that are on the axis, by pandas."""
    for run in series.runs:
        frame = pandas.DataFrame(run, columns=list(TYPES)).astype({"loss": float, "epoch": float})
        yield frame[frame["_step"].notna()].astype({"_step": "int64"})


class TestOuter:
    @pytest.mark.parametrize("x", ["_step", "time", "epoch"])
    @given(series=series_tables())
    def test_plainly(self, x: str, series: SeriesTable) -> None:
        table, offsets = align_rows(series.table, series.offsets, x=x)
        assert repr(runs_of(table, offsets)) == repr([outer(run, x) for run in series.runs])
        assert table.schema == series.table.schema

    @settings(max_examples=30)
    @given(series=series_tables(plain_floats))
    def test_as_pandas_groups(self, series: SeriesTable) -> None:
        table, offsets = align_rows(series.table, series.offsets)
        for found, frame in zip(runs_of(table, offsets), pandas_runs(series), strict=True):
            # GroupBy.last() returns the last value that is not null.
            expected = frame[["_step", "loss", "epoch"]].groupby("_step").last().reset_index()
            assert [row["_step"] for row in found] == expected["_step"].tolist()
            for key in ("loss", "epoch"):
                numbers = [math.nan if row[key] is None else float(row[key]) for row in found]
                assert repr(numbers) == repr(expected[key].tolist())

    def test_rows_in_order_are_the_same_buffers(self) -> None:
        series = as_table([[{"_step": 1, "loss": 0.5}, {"_step": 2}], [], [{"_step": 0}]])
        table, offsets = align_rows(series.table, series.offsets)
        assert offsets == series.offsets
        assert table.equals(series.table)
        before, after = (side.column("loss").chunk(0).buffers()[1].address for side in (series.table, table))
        assert before == after

    def test_large_steps_stay_apart(self) -> None:
        """Doubles hold integers up to 2**53."""
        steps = [2**60 + 1, 2**60, -(2**60) - 1, 2**60 + 1, 2**63 - 1]
        table = pyarrow.table({"_step": steps, "loss": [1.0, 2, 3, 4, 5]})
        aligned, _ = align_rows(table, [0, 5])
        assert aligned.to_pydict() == {"_step": sorted(set(steps)), "loss": [3.0, 2.0, 4.0, 5.0]}

    def test_one_zero(self) -> None:
        table = pyarrow.table({"time": [0.0, -0.0], "loss": [1.0, None], "epoch": [None, 2]})
        assert align_rows(table, [0, 2], x="time")[0].to_pydict() == {"time": [-0.0], "loss": [1.0], "epoch": [2]}

    def test_rows_without_a_place_are_left_out(self) -> None:
        table = pyarrow.table({"time": [None, 1.0, math.nan, math.inf, -math.inf], "loss": [1, 2, 3, 4, 5]})
        aligned, offsets = align_rows(table, [0, 2, 5], x="time")
        assert aligned.to_pydict() == {"time": [1.0], "loss": [2]}
        assert offsets == [0, 1, 1]

    def test_an_axis_of_nulls(self) -> None:
        table = pyarrow.table({"time": pyarrow.nulls(2), "loss": [1.0, 2.0]})
        aligned, offsets = align_rows(table, [0, 1, 2], x="time")
        assert aligned.schema == table.schema
        assert (len(aligned), offsets) == (0, [0, 0, 0])


class TestFfill:
    @pytest.mark.parametrize("x", ["_step", "time"])
    @given(series=series_tables())
    def test_plainly(self, x: str, series: SeriesTable) -> None:
        table, offsets = align_rows(series.table, series.offsets, x=x, how="ffill")
        keys = [key for key in TYPES if key != x]
        assert repr(runs_of(table, offsets)) == repr([filled(outer(run, x), keys) for run in series.runs])
        assert table.schema == series.table.schema

    @settings(max_examples=30)
    @given(series=series_tables(plain_floats))
    def test_as_pandas_fills(self, series: SeriesTable) -> None:
        table, offsets = align_rows(series.table, series.offsets, how="ffill")
        for found, frame in zip(runs_of(table, offsets), pandas_runs(series), strict=True):
            expected = frame[["_step", "loss"]].groupby("_step").last().ffill()["loss"].tolist()
            assert repr([math.nan if row["loss"] is None else row["loss"] for row in found]) == repr(expected)

    def test_does_not_reach_the_next_run(self) -> None:
        series = as_table([[{"_step": 1, "loss": 0.5}], [{"_step": 2}, {"_step": 3, "loss": 1.0}, {"_step": 4}]])
        table, _ = align_rows(series.table, series.offsets, how="ffill")
        assert table.column("loss").to_pylist() == [0.5, None, 1.0, 1.0]


class TestInterpolate:
    @pytest.mark.parametrize("x", ["_step", "time"])
    @given(series=series_tables(plain_floats))
    def test_as_numpy_interpolates(self, x: str, series: SeriesTable) -> None:
        table, offsets = align_rows(series.table, series.offsets, x=x, how="interpolate")
        for found, run in zip(runs_of(table, offsets), series.runs, strict=True):
            rows = outer(run, x)
            assert [row[x] for row in found] == [row[x] for row in rows]
            for key in ("loss", "epoch"):
                known = [(float(row[x]), float(row[key])) for row in rows if row[key] is not None]
                if not known:
                    assert all(row[key] is None for row in found)
                    continue
                places, numbers = zip(*known, strict=True)
                wanted = [float(row[x]) for row in rows]
                expected = numpy.interp(wanted, places, numbers, left=math.nan, right=math.nan)
                numbers_found = [math.nan if row[key] is None else row[key] for row in found]
                assert numbers_found == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-6, nan_ok=True)
            for key in ("note", "best"):
                assert [row[key] for row in found] == [row[key] for row in rows]

    @given(series=series_tables())
    def test_keeps_what_is_known(self, series: SeriesTable) -> None:
        table, offsets = align_rows(series.table, series.offsets, how="interpolate")
        assert table.schema.field("epoch").type == pyarrow.float64()
        assert table.schema.field("_step").type == pyarrow.int64()
        for found, run in zip(runs_of(table, offsets), series.runs, strict=True):
            for row, known in zip(found, outer(run, "_step"), strict=True):
                for key in ("loss", "epoch"):
                    if known[key] is not None:
                        assert repr(row[key]) == repr(float(known[key]))

    def test_next_to_nan_and_infinity(self) -> None:
        table = pyarrow.table(
            {
                "_step": range(7),
                "loss": [0.0, None, math.nan, None, 1.0, None, math.inf],
                "flat": [2.0] + [None] * 5 + [2.0],
            }
        )
        aligned, _ = align_rows(table, [0, 7], how="interpolate")
        assert repr(aligned.column("loss").to_pylist()) == "[0.0, nan, nan, nan, 1.0, inf, inf]"
        assert aligned.column("flat").to_pylist() == [2.0] * 7

    def test_the_width_of_the_range_is_no_float(self) -> None:
        table = pyarrow.table({"time": [-1.5e308, 0.0, 1.5e308], "loss": [-1.6e308, None, 1.6e308]})
        aligned, _ = align_rows(table, [0, 3], x="time", how="interpolate")
        assert aligned.column("loss").to_pylist() == [-1.6e308, 0.0, 1.6e308]

    def test_between_large_steps(self) -> None:
        steps = [2**62, 2**62 + 1, 2**62 + 4]
        table = pyarrow.table({"_step": steps, "loss": [0.0, None, 1.0]})
        assert align_rows(table, [0, 3], how="interpolate")[0].column("loss").to_pylist() == [0.0, 0.25, 1.0]
        steps = [-(2**63), 0, 2**63 - 1]
        table = pyarrow.table({"_step": steps, "loss": [0.0, None, 1.0]})
        assert align_rows(table, [0, 3], how="interpolate")[0].column("loss").to_pylist() == [0.0, 0.5, 1.0]


class TestColumnTypes:
    @pytest.mark.parametrize("how", ["outer", "ffill", "interpolate"])
    def test_any(self, how: str) -> None:
        storage = pyarrow.array(["{}", None, "[]", None])
        table = pyarrow.table(
            {
                "_step": pyarrow.array([3, 1, 3, 4], pyarrow.int8()),
                "nothing": pyarrow.nulls(4),
                "tags": pyarrow.array([["a"], None, None, None]),
                "kind": pyarrow.array(["a", "b", None, None]).dictionary_encode(),
                "nested": pyarrow.ExtensionArray.from_storage(pyarrow.json_(), storage),
            }
        ).replace_schema_metadata({"run": "one"})
        aligned, offsets = align_rows(table, [0, 4], how=how)
        assert aligned.schema == table.schema
        assert aligned.schema.metadata == table.schema.metadata
        fills = how == "ffill"
        assert aligned.to_pydict() == {
            "_step": [1, 3, 4],
            "nothing": [None, None, None],
            "tags": [None, ["a"], ["a"] if fills else None],
            "kind": ["b", "a", "a" if fills else None],
            "nested": [None, "[]", "[]" if fills else None],
        }
        assert offsets == [0, 3]

    def test_unsigned_integers_beyond_int64(self) -> None:
        table = pyarrow.table({"_step": pyarrow.array([2**64 - 1, 5, None], pyarrow.uint64()), "loss": [1, 2, 3]})
        assert align_rows(table, [0, 3])[0].to_pydict() == {"_step": [5, 2**64 - 1], "loss": [2, 1]}

    def test_columns_that_can_not_be_null(self) -> None:
        schema = pyarrow.schema([("_step", pyarrow.int64()), pyarrow.field("epoch", pyarrow.int64(), nullable=False)])
        table = pyarrow.table([[2, 1], [1, 2]], schema=schema)
        aligned, _ = align_rows(table, [0, 2], how="interpolate")
        aligned.validate(full=True)
        assert aligned.to_pydict() == {"_step": [1, 2], "epoch": [2.0, 1.0]}


class TestRefusals:
    TABLE = pyarrow.table({"_step": [1, 2], "note": ["a", "b"], "best": [True, False]})

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"how": "inner"}, "'outer', 'ffill' or 'interpolate'"),
            ({"x": "epoch"}, "no columns named 'epoch'"),
            ({"x": "note"}, "holds string"),
            ({"x": "best"}, "holds bool"),
            ({"offsets": [0, 3]}, "offset 1 of the runs is 3"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        accepted: dict[str, Any] = {"offsets": [0, 2]}
        with pytest.raises(ValueError, match=message):
            align_rows(self.TABLE, **(accepted | arguments))


@given(st.lists(st.tuples(st.none() | st.integers(), st.none() | plain_floats), max_size=30))
def test_aligned_tables_are_aligned(cells: list[tuple[int | None, float | None]]) -> None:
    series = as_table([[{"_step": step and step % 2**62, "loss": loss} for step, loss in cells]])
    once = align_rows(series.table, series.offsets)
    twice = align_rows(*once)
    assert twice[0].equals(once[0])
    assert twice[1] == once[1]
