"""The points of curves: read from a history, smoothed, and thinned out to the pixels of a picture.

A missing value or null is no point: the line of a sparse key connects the rows that have it. NaN and the infinities
break the line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histscan.common.steps import STEP
from histscan.errors import UnknownKeyError
from histscan.plotting.axis_values import fill_axis
from histscan.plotting.number_columns import CurveError, Floats, read_numbers

if TYPE_CHECKING:
    from histscan.columns.frames import Frames

__all__ = [
    "Curve",
    "CurveError",
    "lone_points",
    "no_point",
    "read_curves",
    "smooth",
    "sorted_curve",
    "thin_out",
    "thin_out_marks",
]

# The width of a curve in units of smoothing, as for W&B: smoothing then looks the same for runs of any length.
_SMOOTHING_UNITS = 1_000.0
_HIGHEST_WEIGHT = 0.999
# First, last, lowest, highest, and a break of the line on each side.
_POINTS_PER_COLUMN = 6
_BLOCK = 65_536


@dataclass(frozen=True)
class Curve:
    """The points of a key, from left to right.

    Attributes:
        key: The key; nested keys are dotted.
        x: The x values; finite and ascending, with repeats.
        y: The y values; may be NaN or infinite.
    """

    key: str
    x: Floats
    y: Floats


def read_curves(
    scan: Frames,
    keys: Sequence[str],
    x_key: str = STEP,
    *,
    align: str | None = None,
    optional: Collection[str] = (),
) -> list[Curve]:
    """Reads curves from a history; nothing but the keys that are asked for is decoded.

    Args:
        scan: A scan of all keys.
        keys: The keys, one for each curve. Bools count as 0 and 1.
        x_key: The key of the x axis. Points are sorted by it.
        align: How a row gets its x if it lacks `x_key`, see `axis_values.Alignment`; None skips such rows.
        optional: Those of the keys that are left out if they are not numeric.

    Returns:
        The curves, in the order of the keys. Rows without a finite `x_key` are skipped.

    Raises:
        CurveError: A key is not in the history, or is not numeric.
        HistoryError: A page or a row can't be read.
    """
    wanted = list(dict.fromkeys([*([STEP] if align else []), x_key, *keys]))
    try:
        table = scan.to_arrow(wanted, with_step=False)
    except UnknownKeyError as error:
        raise CurveError(error.reason) from None
    find_known = partial(_known_keys, scan)
    x, has_x = read_numbers(table, x_key, find_known)
    # Arrow's memory can't be written to.
    x, has_x = x.copy(), has_x & np.isfinite(x)
    if align is not None:
        steps, has_step = read_numbers(table, STEP, find_known)
        fill_axis(x, has_x, np.where(has_step, steps, np.nan), align)
    curves = []
    for key in dict.fromkeys(keys):
        try:
            y, has_y = read_numbers(table, key, find_known)
        except CurveError:
            if key not in optional:
                raise
            continue
        here = has_x & has_y
        if not here.any():
            raise CurveError(no_point(key, x_key, align))
        curves.append(sorted_curve(key, x[here], y[here]))
    return curves


def no_point(key: str, x_key: str, align: str | None) -> str:
    """Describes a key without a point.

    Args:
        key: The key.
        x_key: The key of the x axis.
        align: How a row gets its x if it lacks `x_key`; None for not at all.
    """
    hint = "" if align else "; align='ffill' takes the last value before each point"
    return f"{key!r} can't be plotted over {x_key!r}: no row with {key!r} has a finite {x_key!r}{hint}"


def sorted_curve(key: str, x: Floats, y: Floats) -> Curve:
    """Makes a curve of points in any order.

    Args:
        key: The key.
        x: The x values, finite.
        y: The y values.

    Returns:
        The curve, from left to right; points with the same x stay in their order.
    """
    if np.any(x[1:] < x[:-1]):
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return Curve(key, x, y)


def _known_keys(scan: Frames) -> list[str]:
    """All keys of the rows, nested ones dotted."""
    batch = next(scan.batches(nested="flatten"), None)
    return [] if batch is None else sorted(batch.schema.names)


def smooth(curve: Curve, weight: float) -> Curve:
    """Smooths a curve as W&B's line plots do by default: a moving average whose weights decay with the distance.

    This is the "time weighted exponential moving average" of https://docs.wandb.ai/models/app/features/panels/line-plot/
    smoothing. With w = min(sqrt(weight), 0.999), and d the distance of two points on a scale where the curve is 1,000
    wide::

        w[i] = w ** d(i, i - 1)
        sum[i] = sum[i - 1] * w[i] + y[i]
        count[i] = count[i - 1] * w[i] + 1
        smooth[i] = sum[i] / count[i]

    The division removes the bias of the sum, which starts at zero. The weights depend on the distance and not on the
    number of points: keys logged every step and keys logged every hundredth step are smoothed alike.

    Args:
        curve: The curve.
        weight: The weight, from 0 (not smoothed) to 1.

    Returns:
        The smoothed curve. NaN and infinities are not averaged; they still break the line.
    """
    base = min(weight**0.5, _HIGHEST_WEIGHT)
    if base <= 0 or len(curve.x) < 2:
        return curve
    places = (curve.x - curve.x[0]) * (_SMOOTHING_UNITS / ((curve.x[-1] - curve.x[0]) or 1.0))
    averages = curve.y.copy()
    total = count = last = 0.0
    # Python's floats take many times the memory of an array, so only a block of them exists at a time.
    for start in range(0, len(places), _BLOCK):
        here = start + np.flatnonzero(np.isfinite(curve.y[start : start + _BLOCK]))
        block: list[float] = []
        for place, value in zip(places[here].tolist(), curve.y[here].tolist(), strict=True):
            fading = base ** (place - last)
            last = place
            total = total * fading + value
            count = count * fading + 1.0
            block.append(total / count)
        averages[here] = block
    return Curve(curve.key, curve.x, averages)


def thin_out(curve: Curve, columns: int) -> Curve:
    """Drops points that a picture can't show: at most six remain for each column of pixels.

    The first, last, lowest and highest point of a column remain, which draw the same line (the "M4" aggregation of
    Jugel et al., VLDB 2014). A NaN or infinity remains if it is the first or last point, and breaks the line to the
    next column; a gap within a column is narrower than a pixel.

    Args:
        curve: The curve.
        columns: The width of the picture in pixels.

    Returns:
        The curve with the remaining points; `curve` itself if it has few points.
    """
    if len(curve.x) <= _POINTS_PER_COLUMN * columns:
        return curve
    starts = _column_starts(curve.x, columns)
    counts = np.diff(starts, append=len(curve.x))
    groups = np.repeat(np.arange(len(starts)), counts)
    finite = np.isfinite(curve.y)
    lowest = np.minimum.reduceat(np.where(finite, curve.y, np.inf), starts)[groups]
    highest = np.maximum.reduceat(np.where(finite, curve.y, -np.inf), starts)[groups]
    ends = np.append(starts[1:], len(curve.x)) - 1
    kept = [
        starts[~finite[starts]],
        ends[~finite[ends]],
        _first_of_each(np.flatnonzero(finite), groups),
        _last_of_each(np.flatnonzero(finite), groups),
        _first_of_each(np.flatnonzero(finite & (curve.y == lowest)), groups),
        _first_of_each(np.flatnonzero(finite & (curve.y == highest)), groups),
    ]
    remaining = np.unique(np.concatenate(kept))
    return Curve(curve.key, curve.x[remaining], curve.y[remaining])


def thin_out_marks(places: Floats, columns: int) -> Floats:
    """Drops marks that would cover each other.

    Args:
        places: The x values of the marks, ascending.
        columns: The width of the picture in pixels.

    Returns:
        The first mark of each column.
    """
    return places if len(places) <= columns else places[_column_starts(places, columns)]


def lone_points(curve: Curve) -> NDArray[np.bool_]:
    """Finds finite points between two breaks of the line: a line through them has no length.

    Args:
        curve: The curve.

    Returns:
        For each point, True if it is one.
    """
    finite = np.isfinite(curve.y)
    lone: NDArray[np.bool_] = finite.copy()
    lone[1:] &= ~finite[:-1]
    lone[:-1] &= ~finite[1:]
    return lone


def _column_starts(x: Floats, columns: int) -> NDArray[np.intp]:
    """Returns the index of the first point in each column of pixels that has points."""
    # Halved, because the distance of two floats can overflow.
    width = x[-1] / 2 - x[0] / 2
    shares = (x / 2 - x[0] / 2) / width if width > 0 else np.zeros(len(x))
    column = np.minimum((shares * columns).astype(np.int64), columns - 1)
    return np.flatnonzero(np.diff(column, prepend=-1))


def _first_of_each(places: NDArray[np.intp], groups: NDArray[np.intp]) -> NDArray[np.intp]:
    return places[np.diff(groups[places], prepend=-1) > 0]


def _last_of_each(places: NDArray[np.intp], groups: NDArray[np.intp]) -> NDArray[np.intp]:
    return places[np.diff(groups[places], append=len(groups) + 1) > 0]
