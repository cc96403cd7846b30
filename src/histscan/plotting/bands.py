"""Bands over runs: the mean of their curves, and how far they are from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histscan.plotting.curves import Curve
from histscan.plotting.number_columns import Floats

__all__ = ["BANDS", "Band", "find_band"]

BANDS = {"std": "mean ± standard deviation", "minmax": "mean, minimum to maximum", "ci95": "mean ± 95 % confidence"}
"""Kinds of bands, and what a picture says of them."""

# The 97.5 % quantile of the normal distribution.
_NORMAL_95 = 1.96


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


def find_band(curves: Sequence[Curve], kind: str, places: int) -> Band:
    """Finds the mean and the band of curves.

    Each curve counts once at each place: by its mean around the place if it has two points or more for each place, else
    by its value there, interpolated linearly between its points. It does not count before its first point or after its
    last one. NaN and infinities are left out.

    Args:
        curves: The curves, of one key.
        kind: ``"std"`` (of a sample), ``"minmax"``, or ``"ci95"``: 1.96 * std / sqrt(count).
        places: The number of places, at equal distances from the lowest x to the highest.

    Returns:
        The band; without places where no curve counts. Where one curve counts, ``"std"`` and ``"ci95"`` have no width.
    """
    finite = [(curve.x[kept], curve.y[kept]) for curve in curves if (kept := np.isfinite(curve.y)).any()]
    if not finite:
        nothing = np.empty(0)
        return Band(nothing, nothing, nothing, nothing, nothing)
    low = min(x[0] for x, _ in finite)
    high = max(x[-1] for x, _ in finite)
    grid = np.linspace(low, high, places) if high > low else np.array([low])
    values = np.array([_resample(x, y, grid) for x, y in finite])
    there = np.isfinite(values)
    count = there.sum(axis=0).astype(np.float64)
    kept = count > 0
    values, there, count, grid = values[:, kept], there[:, kept], count[kept], grid[kept]
    filled = np.where(there, values, 0.0)
    mean = filled.sum(axis=0) / count
    if kind == "minmax":
        lowest = np.where(there, values, np.inf).min(axis=0)
        highest = np.where(there, values, -np.inf).max(axis=0)
        return Band(grid, mean, lowest, highest, count)
    squares = np.where(there, (values - mean) ** 2, 0.0).sum(axis=0)
    width = np.sqrt(squares / np.maximum(count - 1, 1))
    if kind == "ci95":
        width = _NORMAL_95 * width / np.sqrt(count)
    return Band(grid, mean, mean - width, mean + width, count)


def _resample(x: Floats, y: Floats, grid: Floats) -> Floats:
    """Returns the values of a curve on a grid; NaN outside the curve."""
    if len(grid) == 1:
        return np.array([y.mean()])
    # Of several points with one x, the last one counts.
    is_last = np.append(x[1:] != x[:-1], True)
    distance = grid[1] - grid[0]
    bucket = np.clip(np.round((x - grid[0]) / distance), 0, len(grid) - 1).astype(np.intp)
    counts = np.bincount(bucket, minlength=len(grid))
    if len(x) >= 2 * (bucket[-1] - bucket[0] + 1):
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.bincount(bucket, weights=y, minlength=len(grid)) / counts
        known = counts > 0
        return np.interp(grid, grid[known], means[known], left=np.nan, right=np.nan)
    places, numbers = x[is_last], y[is_last]
    # The last place of the grid may be beyond the last point by a rounding error.
    inside = (grid >= places[0] - distance * 1e-6) & (grid <= places[-1] + distance * 1e-6)
    return np.where(inside, np.interp(grid, places, numbers), np.nan)
