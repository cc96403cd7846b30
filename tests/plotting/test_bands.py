"""Bands over runs."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan.plotting.bands import Band, find_bands
from histscan.plotting.curves import Curve

NAN, INF = math.nan, math.inf


def curve_of(y: list[float], x: list[float] | None = None) -> Curve:
    return Curve("y", np.arange(len(y), dtype=float) if x is None else np.array(x), np.array(y, dtype=float))


def find_band(curves: list[Curve], kind: str, buckets: int) -> Band:
    (band,) = find_bands([curves], kind, buckets)
    return band


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5), min_size=2, max_size=6))
def test_runs_with_the_same_places(runs: list[list[float]]) -> None:
    curves = [curve_of(run) for run in runs]
    columns = list(zip(*runs, strict=True))
    band = find_band(curves, "std", 5)
    assert band.x.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(band.mean, [statistics.fmean(column) for column in columns], atol=1e-6)
    deviation = np.array([statistics.stdev(column) for column in columns])
    np.testing.assert_allclose(band.high - band.mean, deviation, atol=1e-6)
    edges = find_band(curves, "minmax", 5)
    np.testing.assert_array_equal(edges.low, [min(column) for column in columns])
    np.testing.assert_array_equal(edges.high, [max(column) for column in columns])
    interval = find_band(curves, "ci95", 5)
    np.testing.assert_allclose(interval.mean - interval.low, 1.96 * deviation / math.sqrt(len(runs)), atol=1e-6)


def test_runs_count_only_where_they_are() -> None:
    band = find_band([curve_of([0, 0, 0]), curve_of([4, 4, 4, 4, 4])], "minmax", 5)
    assert band.count.tolist() == [2, 2, 2, 1, 1]
    assert band.mean.tolist() == [2, 2, 2, 4, 4]


def test_sparse_runs_are_interpolated_and_dense_ones_averaged() -> None:
    sparse = curve_of([0, 100], [0.0, 100.0])
    assert find_band([sparse], "std", 5).mean.tolist() == [0, 25, 50, 75, 100]
    dense = curve_of([float(place % 2) for place in range(1000)])
    np.testing.assert_allclose(find_band([dense], "std", 11).mean, 0.5, atol=0.02)


def test_nan_and_infinities_are_left_out() -> None:
    band = find_band([curve_of([1, NAN, 3]), curve_of([INF, 2, 3]), curve_of([NAN, NAN])], "minmax", 3)
    assert band.mean.tolist() == [1, 2, 3]
    assert band.count.tolist() == [1, 2, 2]
    assert len(find_band([curve_of([NAN])], "std", 5).x) == 0


def test_one_run_has_no_width_and_one_point_is_a_place() -> None:
    band = find_band([curve_of([1, 2])], "ci95", 2)
    assert band.low.tolist() == band.mean.tolist() == band.high.tolist() == [1, 2]
    assert find_band([curve_of([3], [7.0])], "std", 9).x.tolist() == [7]


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_the_last_place_is_not_lost(offset: float) -> None:
    curves = [curve_of([1.0] * 301, [offset + place for place in range(301)]) for _ in range(3)]
    assert find_band(curves, "std", 200).count.tolist() == [3] * 200


def test_groups_share_the_axis() -> None:
    nothing, low, high = find_bands([[], [curve_of([1, 1, 1])], [curve_of([2, 2], [5.0, 6.0])]], "std", 7)
    assert len(nothing.x) == 0
    assert (low.x.tolist(), low.mean.tolist()) == ([0, 1, 2], [1, 1, 1])
    assert (high.x.tolist(), high.mean.tolist()) == ([5, 6], [2, 2])
