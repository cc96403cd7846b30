"""Bands over runs: the mean of their curves, and how far they are from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histscan.plotting.curves import Curve
from histscan.plotting.number_columns import Floats
from histscan.series.statistics import aggregate_rows

__all__ = ["BANDS", "Band", "find_bands"]

BANDS = {"std": "mean ± standard deviation", "minmax": "mean, minimum to maximum", "ci95": "mean ± 95 % confidence"}
"""Kinds of bands, and what a picture says of them."""


@dataclass(frozen=True)
class Band:
    """The mean of some curves along their x axis, and a band around it.

    Attributes:
        x: The places, ascending.
        mean: The mean of the curves that have a value at the place.
        low: The lower edge of the band.
        high: The upper edge.
        count: The number of curves that have a value.
    """

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    count: Floats


def find_bands(groups: Sequence[Sequence[Curve]], kind: str, buckets: int) -> list[Band]:
    """Finds the mean and the band of each group of curves, on an axis that all groups share.

    Each curve counts once at each place. If all curves have two points or more for each bucket, the axis is split into
    `buckets` equal parts, in which a curve has the mean of its points; else it has `buckets` places, between whose
    neighbours the curves are interpolated linearly. A curve does not count before its first point or after its last
    one. NaN and infinities are left out. See `histscan.series.statistics.aggregate_rows`.

    Args:
        groups: The curves of each group, of one key.
        kind: ``"std"`` (of a sample), ``"minmax"``, or ``"ci95"``: 1.96 * std / sqrt(count).
        buckets: The number of buckets or places.

    Returns:
        A band for each group; without places where no curve counts. Where one curve counts, ``"std"`` and ``"ci95"``
        have no width.
    """
    import pyarrow

    finite = [(group, curve.x[kept], curve.y[kept]) for group, curve, kept in _finite(groups)]
    if not finite:
        return [_band_of(np.empty((0, 5))) for _ in groups]
    lengths = [len(x) for _, x, _ in finite]
    method = "bucket" if min(lengths) >= 2 * buckets else "interpolate"
    table = pyarrow.table(
        {"x": np.concatenate([x for _, x, _ in finite]), "y": np.concatenate([y for _, _, y in finite])}
    )
    # The numbers of groups must be below that of the curves: groups without curves have none.
    numbers = {group: number for number, group in enumerate(dict.fromkeys(group for group, _, _ in finite))}
    lower, upper = ("min", "max") if kind == "minmax" else (kind, kind)
    found = aggregate_rows(
        table,
        np.concatenate([[0], np.cumsum(lengths)]).tolist(),
        [numbers[group] for group, _, _ in finite],
        ["y"],
        x="x",
        method=method,
        statistics=list(dict.fromkeys(["mean", lower, upper, "count"])),
        buckets=buckets,
    )
    columns = ["x", "y.mean", f"y.{lower}", f"y.{upper}", "y.count"]
    values = np.column_stack([found.column(name).cast("float64").fill_null(0.0).to_numpy() for name in columns])
    if kind != "minmax":
        values[:, 2], values[:, 3] = values[:, 1] - values[:, 2], values[:, 1] + values[:, 3]
    number_of = found.column("group").to_numpy()
    return [_band_of(values[number_of == numbers.get(group, -1)]) for group in range(len(groups))]


def _finite(groups: Sequence[Sequence[Curve]]) -> Iterator[tuple[int, Curve, NDArray[np.bool_]]]:
    """Yields the curves that have finite points: the group, the curve, and which points are finite."""
    for group, curves in enumerate(groups):
        for curve in curves:
            kept = np.isfinite(curve.y)
            if kept.any():
                yield group, curve, kept


def _band_of(columns: Floats) -> Band:
    return Band(*columns.T)
