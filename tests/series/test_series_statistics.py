"""Statistics of groups of runs, against pandas and numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pandas
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan.series import STATISTICS, aggregate_rows
from tests.support.series_tables import SeriesTable, as_table, plain_floats, series_tables

Row = dict[str, Any]

KEYS = ["loss", "epoch", "best"]

tables = series_tables(plain_floats, most_runs=8)
group_choices = st.lists(st.integers(0, 2), min_size=8, max_size=8)


def groups_for(series: SeriesTable, choices: list[int]) -> list[int]:
    return [min(group, len(series.runs) - 1) for group in choices[: len(series.runs)]]


def as_float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def long_form(series: SeriesTable, groups: list[int], x: str) -> Any:
    """All rows that are on the axis as a pandas frame, with their group and run, and numbers as floats."""
    rows = [
        {"group": group, "run": run, "x": row[x]}
        | {key: math.nan if row[key] is None else float(row[key]) for key in KEYS}
        for run, (group, rows) in enumerate(zip(groups, series.runs, strict=True))
        for row in rows
        if row[x] is not None
    ]
    return pandas.DataFrame(rows, columns=["group", "run", "x", *KEYS])


def over_runs(numbers: Any) -> dict[str, dict[tuple[int, float], float]]:
    """The statistics over runs, from a frame with a number for each group, place and run."""
    grouped = numbers.groupby(["group", "x"])["number"]
    found = {name: getattr(grouped, name)().to_dict() for name in ("mean", "std", "min", "max", "count")}
    found["ci95"] = {
        place: 1.96 * found["std"][place] / math.sqrt(count) if count else math.nan
        for place, count in found["count"].items()
    }
    return found


def check(table: Any, key: str, expected: dict[str, dict[tuple[int, float], float]]) -> None:
    rows = table.to_pylist()
    x = table.column_names[1]
    for statistic in STATISTICS:
        found = {(row["group"], row[x]): row[f"{key}.{statistic}"] for row in rows if row[f"{key}.count"]}
        wanted = {place: number for place, number in expected[statistic].items() if expected["count"].get(place)}
        assert list(found) == sorted(wanted)
        for place, number in wanted.items():
            if math.isnan(number):
                assert found[place] is None
            else:
                assert found[place] == pytest.approx(number, rel=1e-9, abs=1e-6)
    for row in rows:
        if not row[f"{key}.count"]:
            assert [row[f"{key}.{statistic}"] for statistic in STATISTICS if statistic != "count"] == [None] * 5


def bucket_centres(x: Any, buckets: int) -> Any:
    low, high = x.min(), x.max()
    if low == high:
        return x
    indices = numpy.minimum(((x - low) / (high - low) * buckets).astype(int), buckets - 1)
    return low + (high - low) * ((indices + 0.5) / buckets)


class TestBuckets:
    @pytest.mark.parametrize("x", ["_step", "time"])
    @settings(max_examples=40)
    @given(series=tables, choices=group_choices)
    def test_each_x_as_pandas(self, x: str, series: SeriesTable, choices: list[int]) -> None:
        groups = groups_for(series, choices)
        table = aggregate_rows(series.table, series.offsets, groups, KEYS, x=x, method="bucket", statistics=STATISTICS)
        assert table.schema.field(x).type == (pyarrow.int64() if x == "_step" else pyarrow.float64())
        frame = long_form(series, groups, x)
        for key in KEYS:
            means = frame.groupby(["group", "run", "x"])[key].mean().rename("number").reset_index()
            check(table, key, over_runs(means))

    @pytest.mark.parametrize("x", ["_step", "time"])
    @settings(max_examples=40)
    @given(series=tables, choices=group_choices, buckets=st.integers(1, 12))
    def test_equal_parts_as_pandas(self, x: str, series: SeriesTable, choices: list[int], buckets: int) -> None:
        groups = groups_for(series, choices)
        table = aggregate_rows(
            series.table, series.offsets, groups, KEYS, x=x, method="bucket", statistics=STATISTICS, buckets=buckets
        )
        frame = long_form(series, groups, x).astype({"x": float})
        frame["x"] = bucket_centres(frame["x"], buckets)
        for key in KEYS:
            means = frame.groupby(["group", "run", "x"])[key].mean().rename("number").reset_index()
            check(table, key, over_runs(means))

    def test_a_run_with_more_rows_does_not_count_more(self) -> None:
        often: list[Row] = [{"_step": step, "loss": 1.0} for step in range(100)]
        seldom: list[Row] = [{"_step": 0, "loss": 3.0}, {"_step": 99}]
        series = as_table([often, seldom])
        table = aggregate_rows(series.table, series.offsets, [0, 0], ["loss"], method="bucket", buckets=2)
        assert table.to_pylist() == [
            {
                "group": 0, "_step": 24.75, "loss.mean": 2.0, "loss.std": math.sqrt(2), "loss.min": 1.0,
                "loss.max": 3.0, "loss.count": 2,
            },
            {
                "group": 0, "_step": 74.25, "loss.mean": 1.0, "loss.std": None, "loss.min": 1.0,
                "loss.max": 1.0, "loss.count": 1,
            },
        ]  # fmt: skip

    def test_nan_is_missing_and_infinity_is_a_number(self) -> None:
        losses: list[list[float | None]] = [
            [math.nan, 1.0, math.inf, math.inf],
            [2.0, math.nan, 1.0, -math.inf],
            [4.0, None, 5.0, 0.0],
        ]
        series = as_table([[{"_step": step, "loss": loss} for step, loss in enumerate(run)] for run in losses])
        table = aggregate_rows(series.table, series.offsets, [0, 0, 0], ["loss"], method="bucket")
        found = table.to_pydict()
        assert repr(found["loss.mean"]) == "[3.0, 1.0, inf, nan]"
        assert repr(found["loss.std"]) == f"[{math.sqrt(2)!r}, None, nan, nan]"
        assert found["loss.min"] == [2.0, 1.0, 1.0, -math.inf]
        assert found["loss.max"] == [4.0, 1.0, math.inf, math.inf]
        assert found["loss.count"] == [2, 1, 3, 3]

    def test_numbers_far_from_zero_keep_their_deviation(self) -> None:
        series = as_table([[{"_step": 0, "loss": 1e9 + offset}] for offset in (4.0, 7.0, 13.0, 16.0)])
        table = aggregate_rows(series.table, series.offsets, [0] * 4, ["loss"], method="bucket", statistics=["std"])
        assert table.column("loss.std").to_pylist() == [math.sqrt(30)]

    def test_groups_that_are_not_together(self) -> None:
        series = as_table([[{"_step": 5, "loss": float(run)}] for run in range(6)])
        table = aggregate_rows(series.table, series.offsets, [3, 0, 3, 0, 5, 3], ["loss"], method="bucket")
        assert table.column("group").to_pylist() == [0, 3, 5]
        assert table.column("loss.mean").to_pylist() == [2.0, pytest.approx(7 / 3), 4.0]

    def test_the_range_of_x_is_that_of_all_runs(self) -> None:
        series = as_table([[{"_step": 0, "loss": 1.0}], [{"_step": 10, "loss": 1.0}]])
        table = aggregate_rows(series.table, series.offsets, [0, 1], ["loss"], method="bucket", buckets=5)
        assert table.select(["group", "_step"]).to_pydict() == {"group": [0, 1], "_step": [1.0, 9.0]}

    def test_the_width_of_the_range_is_no_float(self) -> None:
        series = as_table([[{"time": x, "loss": 1.0} for x in (-1.7e308, 0.0, 1.7e308)]])
        table = aggregate_rows(series.table, series.offsets, [0], ["loss"], x="time", method="bucket", buckets=3)
        assert table.column("time").to_pylist() == pytest.approx([-1.7e308 / 1.5, 0.0, 1.7e308 / 1.5])
        assert table.column("loss.count").to_pylist() == [1, 1, 1]

    def test_centres_are_rounded_as_python_rounds_them(self) -> None:
        """ARM64 has an instruction that does not round the product; the first one would differ."""
        series = as_table([[{"_step": step, "loss": 1.0} for step in range(1, 11)]])
        table = aggregate_rows(series.table, series.offsets, [0], ["loss"], method="bucket", buckets=5)
        assert table.column("_step").to_pylist() == [1 + 9 * ((index + 0.5) / 5) for index in range(5)]

    def test_no_rows(self) -> None:
        series = as_table([[], [{"_step": None, "loss": 1.0}]])
        for method, buckets in (("bucket", None), ("bucket", 3), ("interpolate", None), ("interpolate", 3)):
            table = aggregate_rows(series.table, series.offsets, [0, 0], ["loss"], method=method, buckets=buckets)
            assert len(table) == 0
            assert table.column_names[:3] == ["group", "_step", "loss.mean"]
        series = as_table([])
        assert len(aggregate_rows(series.table, series.offsets, [], ["loss"], method="bucket")) == 0


def on_places(series: SeriesTable, groups: list[int], x: str, key: str, places: dict[int, list[float]]) -> Any:
    """Each run's numbers at the places of its group, by numpy."""
    rows = []
    for run, (group, run_rows) in enumerate(zip(groups, series.runs, strict=True)):
        known: dict[float, float] = {}
        for row in run_rows:
            if row[x] is not None and row[key] is not None:
                known[float(row[x])] = float(row[key])
        if known:
            wanted = places[group]
            numbers = numpy.interp(
                wanted, sorted(known), [known[place] for place in sorted(known)], left=math.nan, right=math.nan
            )
            rows += [
                {"group": group, "run": run, "x": place, "number": number}
                for place, number in zip(wanted, numbers.tolist(), strict=True)
            ]
    return pandas.DataFrame(rows, columns=["group", "run", "x", "number"])


class TestInterpolation:
    @pytest.mark.parametrize("x", ["_step", "time"])
    @settings(max_examples=40)
    @given(series=tables, choices=group_choices)
    def test_at_each_x_as_numpy(self, x: str, series: SeriesTable, choices: list[int]) -> None:
        groups = groups_for(series, choices)
        table = aggregate_rows(
            series.table, series.offsets, groups, KEYS, x=x, method="interpolate", statistics=STATISTICS
        )
        frame = long_form(series, groups, x)
        places = {group: sorted(frame[frame["group"] == group]["x"].unique().tolist()) for group in groups}
        for key in KEYS:
            check(table, key, over_runs(on_places(series, groups, x, key, places)))

    @pytest.mark.parametrize("x", ["_step", "time"])
    @settings(max_examples=40)
    @given(series=tables, choices=group_choices, buckets=st.integers(2, 12))
    def test_at_equal_distances_as_numpy(self, x: str, series: SeriesTable, choices: list[int], buckets: int) -> None:
        groups = groups_for(series, choices)
        table = aggregate_rows(
            series.table,
            series.offsets,
            groups,
            KEYS,
            x=x,
            method="interpolate",
            statistics=STATISTICS,
            buckets=buckets,
        )
        axis = long_form(series, groups, x)["x"].astype(float)
        if axis.empty:
            assert len(table) == 0
            return
        low, high = axis.min(), axis.max()
        points = [low + (high - low) * (index / (buckets - 1)) for index in range(buckets - 1)] + [high]
        places = dict.fromkeys(groups, sorted(set(points)))
        for key in KEYS:
            check(table, key, over_runs(on_places(series, groups, x, key, places)))

    def test_nothing_beyond_a_run_or_next_to_nan(self) -> None:
        first = [{"_step": 0, "loss": 0.0}, {"_step": 4, "loss": 4.0}]
        second = [{"_step": 2, "loss": 10.0}, {"_step": 6, "loss": math.nan}, {"_step": 8, "loss": 12.0}]
        series = as_table([first, second])
        table = aggregate_rows(series.table, series.offsets, [0, 0], ["loss"], method="interpolate", buckets=9)
        assert table.column("_step").to_pylist() == [0, 1, 2, 3, 4, 8]
        assert table.column("loss.mean").to_pylist() == [0.0, 1.0, 6.0, 3.0, 4.0, 12.0]
        assert table.column("loss.count").to_pylist() == [1, 1, 2, 1, 1, 1]


class TestResult:
    SERIES = as_table([[{"_step": 1, "loss": 1.0, "epoch": 2}], [{"_step": 1, "epoch": 4}], [{"_step": 2}]])

    def aggregate(self, **arguments: Any) -> Any:
        accepted: dict[str, Any] = {"groups": [0, 0, 1], "keys": ["epoch", "loss"], "method": "bucket"}
        return aggregate_rows(self.SERIES.table, self.SERIES.offsets, **(accepted | arguments))

    def test_columns_in_the_order_of_the_arguments(self) -> None:
        table = self.aggregate(statistics=["count", "mean"])
        assert table.to_pylist() == [
            {"group": 0, "_step": 1, "epoch.count": 2, "epoch.mean": 3.0, "loss.count": 1, "loss.mean": 1.0}
        ]
        assert table.column("epoch.count").type == pyarrow.int64()

    def test_count_need_not_be_asked_for(self) -> None:
        assert self.aggregate(statistics=["ci95"]).to_pydict() == {
            "group": [0], "_step": [1], "epoch.ci95": [pytest.approx(1.96)], "loss.ci95": [None],
        }  # fmt: skip

    def test_columns_of_nulls_have_no_runs(self) -> None:
        table = pyarrow.table({"_step": [1], "loss": pyarrow.nulls(1), "epoch": [1]})
        found = aggregate_rows(table, [0, 1], [0], ["loss", "epoch"], method="bucket", statistics=["count"])
        assert found.to_pydict() == {"group": [0], "_step": [1], "loss.count": [0], "epoch.count": [1]}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"method": "mean"}, "'bucket' or 'interpolate'"),
            ({"statistics": ["median"]}, "unknown statistic 'median'; known are mean, std"),
            ({"statistics": "mean"}, "statistics must be a list"),
            ({"statistics": []}, "statistics must be a list of at least one"),
            ({"keys": "loss"}, "keys must be a list"),
            ({"keys": []}, "keys must be a list of at least one"),
            ({"keys": ["acc"]}, "no columns named 'acc'"),
            ({"keys": ["note"]}, "'note' holds string"),
            ({"keys": ["loss", "loss"]}, "several columns named 'loss.mean'"),
            ({"x": "note"}, "holds string"),
            ({"buckets": 0}, "at least 1"),
            ({"buckets": 1, "method": "interpolate"}, "at least 2"),
            ({"buckets": 1_000_001}, "1 to 1,000,000"),
            ({"groups": [0, 0]}, "3 runs, and groups of 2"),
            ({"groups": [0, 0, 3]}, "the group of run 2 is 3"),
            ({"groups": [0, -1, 0]}, "the group of run 1 is -1"),
        ],
    )
    def test_refusals(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.aggregate(**arguments)
