"""Selected rows of each run, against the algorithms written plainly."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan.series import sample_rows, tail_rows
from tests.support.series_tables import SeriesTable, as_table, plain_floats, series_tables

NUMBERS = ["time", "loss", "epoch"]

Row = dict[str, Any]


def kept_of(runs: list[list[Row]], choose: Any) -> list[list[Row]]:
    """The rows of each run at the positions that `choose` returns."""
    return [[run[position] for position in sorted(choose(run))] for run in runs]


def runs_of(table: Any, offsets: list[int]) -> list[list[Row]]:
    rows = table.to_pylist()
    return [rows[begin:end] for begin, end in pairwise(offsets)]


def is_missing(number: float | None) -> bool:
    return number is None or math.isnan(number)


def varying(run: list[Row]) -> list[str]:
    found = {key: {None if is_missing(row[key]) else row[key] for row in run} for key in NUMBERS}
    return [key for key, numbers in found.items() if len(numbers) > 1]


def evenly(run: list[Row], samples: int) -> set[int]:
    return {index * (len(run) - 1) // (samples - 1) for index in range(samples)}


def add_up_to(chosen: set[int], position: int, samples: int) -> None:
    if len(chosen) < samples:
        chosen.add(position)


def minmax(run: list[Row], samples: int) -> set[int]:
    keys = varying(run)
    if len(run) <= samples:
        return set(range(len(run)))
    if not keys:
        return evenly(run, samples)
    chosen = {0, len(run) - 1}
    parts = max(1, (samples - 2) // (2 * len(keys)))
    inner = len(run) - 2
    for part in range(parts):
        positions = range(1 + part * inner // parts, 1 + (part + 1) * inner // parts)
        for key in keys:
            numbers = {position: run[position][key] for position in positions if not is_missing(run[position][key])}
            if numbers:
                # min() and max() return the first one of several.
                add_up_to(chosen, min(numbers, key=numbers.__getitem__), samples)
                add_up_to(chosen, max(numbers, key=numbers.__getitem__), samples)
    return chosen


def textbook_lttb(points: list[tuple[float, float]], threshold: int) -> list[int]:
    """The function of Steinarsson's thesis (flot-downsample's `largestTriangleThreeBuckets`), in whole numbers."""
    length = len(points)
    sampled = [0]
    for index in range(threshold - 2):
        begin = (index + 1) * (length - 2) // (threshold - 2) + 1
        end = min((index + 2) * (length - 2) // (threshold - 2) + 1, length)
        average = [sum(column) / (end - begin) for column in zip(*points[begin:end], strict=True)]
        first = index * (length - 2) // (threshold - 2) + 1
        x, y = points[sampled[-1]]
        areas = [
            abs((x - average[0]) * (points[position][1] - y) - (x - points[position][0]) * (average[1] - y)) * 0.5
            for position in range(first, begin)
        ]
        sampled.append(first + areas.index(max(areas)))
    return [*sampled, length - 1]


def lttb(run: list[Row], samples: int) -> set[int]:
    keys = varying(run)
    if len(run) <= samples:
        return set(range(len(run)))
    if not keys:
        return evenly(run, samples)
    chosen = {0, len(run) - 1}
    share = max(1, (samples - 2) // len(keys))
    for key in keys:
        positions = [
            position
            for position, row in enumerate(run)
            if row["_step"] is not None and row[key] is not None and math.isfinite(row[key])
        ]
        if not positions:
            continue
        if positions[0] != 0:
            positions.insert(0, positions[0])
        if positions[-1] != len(run) - 1:
            positions.append(positions[-1])
        points = [(float(run[position]["_step"]), float(run[position][key])) for position in positions]
        if len(points) - 2 <= share:
            for position in positions:
                add_up_to(chosen, position, samples)
        else:
            for index in textbook_lttb(points, share + 2)[1:-1]:
                add_up_to(chosen, positions[index], samples)
    return chosen


class TestBothMethods:
    @pytest.mark.parametrize("method", ["minmax", "lttb"])
    @given(series=series_tables(), samples=st.integers(2, 30))
    def test_selects_rows_of_each_run(self, method: str, series: SeriesTable, samples: int) -> None:
        table, offsets = sample_rows(series.table, series.offsets, samples, method=method)
        assert table.schema == series.table.schema
        # repr() makes all NaN equal.
        for kept, run in zip(map(repr_all, runs_of(table, offsets)), map(repr_all, series.runs), strict=True):
            assert len(kept) == len(run) if len(run) <= samples else 2 <= len(kept) <= samples
            assert kept[:1] == run[:1]
            assert kept[-1:] == run[-1:]
            rest = iter(run)
            assert all(row in rest for row in kept)
        again, _ = sample_rows(series.table, series.offsets, samples, method=method)
        assert repr(again.to_pylist()) == repr(table.to_pylist())

    @pytest.mark.parametrize("method", ["minmax", "lttb"])
    def test_short_runs_are_unchanged(self, method: str) -> None:
        series = as_table([[{"_step": 1}, {"_step": 2}], [], [{"_step": 0, "loss": math.nan}]])
        table, offsets = sample_rows(series.table, series.offsets, 2, method=method)
        assert table is series.table
        assert offsets == [0, 2, 2, 3]

    @pytest.mark.parametrize("method", ["minmax", "lttb"])
    def test_equal_numbers_leave_rows_at_equal_distances(self, method: str) -> None:
        series = as_table([[{"_step": step, "loss": 1.0, "note": str(step)} for step in range(11)]])
        table, offsets = sample_rows(series.table, series.offsets, 6, method=method)
        assert table.column("note").to_pylist() == ["0", "2", "4", "6", "8", "10"]
        assert offsets == [0, 6]

    def test_any_sequence_of_offsets(self) -> None:
        numpy = pytest.importorskip("numpy")
        series = as_table([[{"_step": step, "loss": float(step)} for step in range(9)]] * 2)
        expected = sample_rows(series.table, series.offsets, 4)
        found = sample_rows(series.table, numpy.array(series.offsets, "int32"), 4)
        assert found[0].equals(expected[0])
        assert found[1] == expected[1]


def repr_all(rows: list[Row]) -> list[str]:
    return list(map(repr, rows))


class TestExtremes:
    @given(series=series_tables(), samples=st.integers(2, 30))
    def test_plainly(self, series: SeriesTable, samples: int) -> None:
        table, offsets = sample_rows(series.table, series.offsets, samples)
        expected = kept_of(series.runs, lambda run: minmax(run, samples))
        assert repr(runs_of(table, offsets)) == repr(expected)

    @given(series=series_tables(), samples=st.integers(8, 20))
    def test_the_extremes_of_a_run_stay(self, series: SeriesTable, samples: int) -> None:
        table, offsets = sample_rows(series.table, series.offsets, samples)
        for kept, run in zip(runs_of(table, offsets), series.runs, strict=True):
            for key in NUMBERS:
                numbers = [row[key] for row in run if not is_missing(row[key])]
                of_kept = [row[key] for row in kept if not is_missing(row[key])]
                if numbers:
                    assert (min(of_kept), max(of_kept)) == (min(numbers), max(numbers))

    def test_one_spike_among_many_rows(self) -> None:
        rows = [{"_step": step, "loss": math.sin(step / 100)} for step in range(10_000)]
        rows[6_789]["loss"] = 1e9
        rows[1_234]["loss"] = -math.inf
        series = as_table([rows])
        kept = sample_rows(series.table, series.offsets, 20)[0].column("loss").to_pylist()
        assert 1e9 in kept
        assert -math.inf in kept

    @pytest.mark.parametrize("place", [0, 1, 4_321, 9_998, 9_999])
    @pytest.mark.parametrize("missing", [None, math.nan])
    def test_a_number_that_was_logged_once(self, place: int, missing: float | None) -> None:
        rows: list[Row] = [{"_step": step, "epoch": step % 700, "loss": missing} for step in range(10_000)]
        rows[place]["loss"] = 0.75
        series = as_table([rows])
        kept = sample_rows(series.table, series.offsets, 20)[0].column("loss").to_pylist()
        assert 0.75 in kept

    def test_more_columns_than_rows(self) -> None:
        names = [f"key{index}" for index in range(100)]
        source = random.Random(0)
        table = pyarrow.table({name: [source.random() for _ in range(50)] for name in names})
        kept, offsets = sample_rows(table, [0, 50], 10)
        assert offsets == [0, 10]
        for name in names[:4]:
            assert min(kept.column(name).to_pylist()) == min(table.column(name).to_pylist())
            assert max(kept.column(name).to_pylist()) == max(table.column(name).to_pylist())

    def test_the_axis_takes_no_share(self) -> None:
        """With it, there would be half as many buckets."""
        source = random.Random(1)
        table = pyarrow.table({"_step": range(1_000), "loss": [source.random() for _ in range(1_000)]})
        assert sample_rows(table, [0, 1_000], 102)[1] == [0, 102]

    def test_needs_no_axis(self) -> None:
        table = pyarrow.table({"loss": [0.0, 1, 9, 2, 3]})
        assert sample_rows(table, [0, 5], 4)[0].column("loss").to_pylist() == [0, 1, 9, 3]


class TestTriangles:
    @given(series=series_tables(plain_floats), samples=st.integers(2, 30))
    def test_plainly(self, series: SeriesTable, samples: int) -> None:
        table, offsets = sample_rows(series.table, series.offsets, samples, method="lttb")
        expected = kept_of(series.runs, lambda run: lttb(run, samples))
        assert repr(runs_of(table, offsets)) == repr(expected)

    @given(st.lists(plain_floats, min_size=4, max_size=60), st.data())
    def test_one_column_as_in_the_textbook(self, numbers: list[float], data: st.DataObject) -> None:
        threshold = data.draw(st.integers(3, len(numbers) - 1))
        table = pyarrow.table({"time": [float(2 * index) for index in range(len(numbers))], "loss": numbers})
        kept, _ = sample_rows(table, [0, len(numbers)], threshold, x="time", method="lttb")
        points = list(zip(*table.to_pydict().values(), strict=True))
        if len(set(numbers)) > 1:
            expected = [points[position] for position in textbook_lttb(points, threshold)]
            assert list(zip(*kept.to_pydict().values(), strict=True)) == expected

    def test_numbers_whose_areas_overflow(self) -> None:
        numbers = [(-1.0) ** index * 1.7e308 for index in range(50)]
        table = pyarrow.table({"_step": range(50), "loss": numbers})
        assert len(sample_rows(table, [0, 50], 10, method="lttb")[0]) == 10


class TestTail:
    @given(series=series_tables(), count=st.integers(0, 30))
    def test_plainly(self, series: SeriesTable, count: int) -> None:
        table, offsets = tail_rows(series.table, series.offsets, count)
        expected = [run[max(0, len(run) - count) :] for run in series.runs]
        assert repr(runs_of(table, offsets)) == repr(expected)
        assert table.schema == series.table.schema

    def test_more_than_an_int64(self) -> None:
        series = as_table([[{"_step": 1}]])
        assert tail_rows(series.table, series.offsets, 10**30)[1] == [0, 1]


class TestColumnTypes:
    """Every type that a history has, and those of other sources of tables."""

    TABLE = pyarrow.table(
        {
            "_step": pyarrow.array(range(40), pyarrow.uint32()),
            "loss": pyarrow.array([0.5, None] * 20, pyarrow.float32()),
            "wide": pyarrow.array([2**64 - 1, 0] * 20, pyarrow.uint64()),
            "exact": pyarrow.array([1, None, 2, 3] * 10, pyarrow.decimal128(10, 2)),
            "nothing": pyarrow.nulls(40),
            "tags": pyarrow.array([["a"], None] * 20),
            "kind": pyarrow.array(["a", "b"] * 20).dictionary_encode(),
            "nested": pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(["{}", None] * 20)),
        }
    )

    @pytest.mark.parametrize("method", ["minmax", "lttb"])
    def test_they_travel_with_their_rows(self, method: str) -> None:
        kept, offsets = sample_rows(self.TABLE, [0, 40], 12, method=method)
        rows = self.TABLE.to_pylist()
        assert kept.schema == self.TABLE.schema
        assert kept.to_pylist() == [rows[step] for step in kept.column("_step").to_pylist()]
        assert offsets == [0, len(kept)]
        assert 2 < len(kept) <= 12


class TestRefusals:
    TABLE = pyarrow.table({"_step": [1, 2, 3], "note": ["a", "b", "c"]})

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"samples": 1}, "at least 2"),
            ({"method": "mean"}, "'minmax' or 'lttb'"),
            ({"method": "lttb", "x": "epoch"}, "no columns named 'epoch'"),
            ({"method": "lttb", "x": "note"}, "holds string"),
            ({"offsets": [0, 2]}, "end with the number of rows, 3"),
            ({"offsets": []}, "begin with 0"),
            ({"offsets": [0, 4]}, "offset 1 of the runs is 4"),
            ({"offsets": [1, 3]}, "offset 0 of the runs is 1"),
            ({"offsets": [0, 2, 1, 3]}, "offset 2 of the runs is 1"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        accepted: dict[str, Any] = {"offsets": [0, 3], "samples": 2}
        with pytest.raises(ValueError, match=message):
            sample_rows(self.TABLE, **(accepted | arguments))

    def test_a_negative_tail(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            tail_rows(self.TABLE, [0, 3], -1)

    def test_two_axes(self) -> None:
        table = pyarrow.table([[1, 2, 3], [1, 2, 3]], names=["_step", "_step"])
        with pytest.raises(ValueError, match="2 columns named '_step'"):
            sample_rows(table, [0, 3], 2, method="lttb")
