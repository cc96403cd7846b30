"""The points of curves: reading, smoothing and thinning out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import histscan
from histscan.plotting.curves import Curve, CurveError, lone_points, read_curves, smooth, thin_out, thin_out_marks
from tests.support import wire
from tests.support.log_samples import write_run
from tests.support.paths import EXAMPLE

NAN, INF = math.nan, math.inf
Row = dict[str, Any]


def scan_of(path: Path, rows: list[Row]) -> Any:
    records = [
        wire.history_record([(key.split("."), json.dumps(value)) for key, value in row.items()], row.get("_step"))
        for row in rows
    ]
    return histscan.open(write_run(path / "run-a.wandb", records)).scan_history()


def curve_of(y: list[float], x: list[float] | None = None) -> Curve:
    places = np.arange(len(y), dtype=np.float64) if x is None else np.array(x, dtype=np.float64)
    return Curve("y", places, np.array(y, dtype=np.float64))


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found, expected)


def test_missing_and_null_are_no_points_and_nan_is_a_point(tmp_path: Path) -> None:
    values: list[Any] = [1, None, NAN, "Infinity", 0.5, -INF]
    rows: list[Row] = [{"_step": step, "a": value} for step, value in enumerate(values)]
    rows.append({"_step": 6})
    (curve,) = read_curves(scan_of(tmp_path, rows), ["a"])
    same(curve.x, [0, 2, 3, 4, 5])
    same(curve.y, [1, NAN, INF, 0.5, -INF])


def test_curves_of_the_example() -> None:
    run = histscan.open(EXAMPLE)
    loss, validation = read_curves(run.scan_history(min_step=100), ["loss", "validation.loss", "loss"])
    rows = list(run.scan_history(min_step=100))
    assert (loss.key, validation.key) == ("loss", "validation.loss")
    same(loss.y, [row["loss"] for row in rows])
    same(validation.x, [row["_step"] for row in rows if "validation" in row])
    same(validation.y, [row["validation"]["loss"] for row in rows if "validation" in row])


def test_kinds_of_numbers(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"_step": 0, "bool": True, "big": 2**64 - 1, "mixed": 2**53 + 1, "huge": 10**400},
        {"_step": 1, "bool": False, "big": 1, "mixed": 0.5, "huge": -(10**400)},
        {"_step": 2, "mixed": NAN},
    ]
    curves = read_curves(scan_of(tmp_path, rows), ["bool", "big", "mixed", "huge"])
    expected = [[1, 0], [float(2**64 - 1), 1], [float(2**53 + 1), 0.5, NAN], [INF, -INF]]
    for curve, values in zip(curves, expected, strict=True):
        same(curve.y, values)


def test_points_are_sorted_by_the_x_key(tmp_path: Path) -> None:
    places: list[Any] = [3, 1, NAN, 1, None, 2]
    rows: list[Row] = [{"_step": step, "at": place, "a": step} for step, place in enumerate(places)]
    (curve,) = read_curves(scan_of(tmp_path, rows), ["a"], "at")
    same(curve.x, [1, 1, 2, 3])
    same(curve.y, [1, 3, 5, 0])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("los", r"no row has 'los'; did you mean loss\?$"),
        ("validation", r"not numeric: its values are nested; plot validation\.distance_quartiles, .*\.loss"),
        ("validation.los", r"no row has 'validation.los'; did you mean validation.loss"),
        ("note", r"'note' is not numeric: its values are text"),
        ("validation.distance_quartiles", "not numeric: its values are lists"),
        ("quite another", "the keys are _step, _runtime, .* and [0-9]+ more$"),
    ],
)
def test_keys_that_cannot_be_plotted(key: str, words: str) -> None:
    with pytest.raises(CurveError, match=words):
        read_curves(histscan.open(EXAMPLE).scan_history(), ["loss", key])


def test_no_rows_to_plot(tmp_path: Path) -> None:
    rows: list[Row] = [{"_step": 0, "a": None, "b": 1, "c": [1]}, {"_step": 1, "c": "x", "d": 1}, {"_step": 2, "e": 2}]
    scan = scan_of(tmp_path, rows)
    for key, words in {"a": "is null in every row", "c": "some of its values are lists"}.items():
        with pytest.raises(CurveError, match=words):
            read_curves(scan, [key])
    with pytest.raises(CurveError, match="no row with 'b' has a finite 'e'"):
        read_curves(scan, ["b"], "e")
    with pytest.raises(CurveError, match="there are no rows"):
        read_curves(histscan.open(EXAMPLE).scan_history(min_step=9000), ["loss"])


numbers = st.floats(-1e6, 1e6)
values = st.one_of(numbers, st.sampled_from([NAN, INF, -INF]))


@given(st.lists(st.tuples(st.floats(0, 100), values), min_size=1, max_size=40), st.floats(0, 0.999), st.integers(1, 5))
def test_smoothing_is_a_weighted_mean(points: list[tuple[float, float]], weight: float, block: int) -> None:
    """Compares with the weighted mean of all earlier points; each weight is computed from the distance."""
    points = sorted(points, key=lambda point: point[0])
    curve = curve_of([y for _, y in points], [x for x, _ in points])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("histscan.plotting.curves._BLOCK", block)
        found = smooth(curve, weight)
    same(found.x, curve.x)
    base = min(math.sqrt(weight), 0.999)
    width = points[-1][0] - points[0][0]
    for index, (place, value) in enumerate(points):
        if not math.isfinite(value):
            same(found.y[index], value)
            continue
        total = count = 0.0
        for earlier, number in points[: index + 1]:
            if math.isfinite(number):
                share = base ** ((place - earlier) / width * 1000) if width else 1.0
                total += share * number
                count += share
        if base:
            assert found.y[index] == pytest.approx(total / count, rel=1e-6, abs=1e-3)
        else:
            assert found.y[index] == value


def test_smoothing_starts_at_the_first_value_and_keeps_constants() -> None:
    constant = smooth(curve_of([5.0] * 100), 0.99)
    np.testing.assert_allclose(constant.y, 5.0)
    rising = smooth(curve_of([float(index) for index in range(2000)]), 0.9)
    assert rising.y[0] == 0
    assert np.all(np.diff(rising.y) > 0)
    assert np.all(rising.y[1:] < np.arange(1, 2000))
    single = curve_of([1.0])
    assert smooth(single, 0.9) is single


@given(st.lists(values, min_size=1, max_size=300), st.integers(1, 12))
def test_thinning_keeps_the_extremes_of_each_column(y: list[float], columns: int) -> None:
    curve = curve_of(y)
    thin = thin_out(curve, columns)
    assert len(thin.x) <= 6 * columns or thin is curve
    # The remaining points are points of the curve, in the same order.
    assert np.all(np.diff(thin.x) > 0)
    same(thin.y, curve.y[thin.x.astype(int)])
    width = max(len(y) - 1, 1)
    column_of = np.minimum((curve.x * columns / width).astype(int), columns - 1)
    for column in range(columns):
        # Rounding may put a point on a border into either column.
        inner = np.abs(curve.x * columns / width - np.round(curve.x * columns / width)) > 1e-9
        whole = curve.y[(column_of == column) & inner & np.isfinite(curve.y)]
        kept = thin.y[np.isfinite(thin.y)]
        if len(whole):
            assert kept.min() <= whole.min()
            assert kept.max() >= whole.max()


@given(st.lists(values, min_size=50, max_size=400), st.integers(1, 6))
def test_thinning_keeps_every_column_and_every_gap_between_columns(y: list[float], columns: int) -> None:
    # The same number of points in each column: no point is on a border.
    y = y[: len(y) // columns * columns]
    each = len(y) // columns
    places = [column + (index + 0.5) / each for column in range(columns) for index in range(each)]
    places[0], places[-1] = 0, columns
    curve = curve_of(y, places)
    thin = thin_out(curve, columns)
    if thin is curve:
        return
    gaps = 0
    for column in range(columns):
        whole = curve.y[column * each : (column + 1) * each]
        kept = thin.y[(thin.x >= column) & (thin.x <= column + 1)]
        finite, kept_finite = whole[np.isfinite(whole)], kept[np.isfinite(kept)]
        assert (len(finite) > 0) == (len(kept_finite) > 0)
        if len(finite):
            ends = (finite.min(), finite.max(), finite[0], finite[-1])
            assert (kept_finite.min(), kept_finite.max(), kept_finite[0], kept_finite[-1]) == ends
        # The line breaks between two columns exactly where the curve's line does.
        same(np.isfinite(kept[[0, -1]]), np.isfinite(whole[[0, -1]]))
        gaps += int(np.count_nonzero(~np.isfinite(whole)))
    assert gaps == np.count_nonzero(~np.isfinite(curve.y))


def test_a_spike_among_millions_of_points_remains() -> None:
    y = np.zeros(2_000_000)
    y[1_234_567], y[777_777] = 9, -9
    y[500_000:700_000] = NAN
    thin = thin_out(Curve("y", np.arange(len(y), dtype=np.float64), y), 1000)
    assert len(thin.x) <= 6000
    assert thin.x[thin.y == 9] == [1_234_567]
    assert thin.x[thin.y == -9] == [777_777]
    broken = thin.x[np.isnan(thin.y)]
    assert (broken[0], broken[-1]) == (500_000, 699_999)


def test_marks_that_cover_each_other() -> None:
    marks = np.concatenate([np.arange(1000.0), [1e6]])
    same(thin_out_marks(marks, 10), [0, 1e6])
    same(thin_out_marks(marks[:10], 10), marks[:10])


def test_extremes_of_x() -> None:
    top = np.finfo(np.float64).max
    thin = thin_out(curve_of([1.0] * 20, [-top] * 10 + [top] * 10), 2)
    assert set(thin.x) == {-top, top}
    assert len(thin_out(curve_of([1.0, 2.0] * 10, [3.0] * 20), 2).x) == 3


def test_lone_points() -> None:
    same(lone_points(curve_of([1, NAN, 2, 3, INF, 4, NAN])), [True, False, False, False, False, True, False])
    same(lone_points(curve_of([1])), [True])
    same(lone_points(curve_of([NAN])), [False])
