"""Small curves as SVG, for a cell of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from histscan.notebooks.markup import Markup, show
from histscan.notebooks.values import short

__all__ = ["Points", "sparkline"]

Points = Sequence[tuple[float, float]]
"""The points of a curve, by ascending x."""

_WIDTH, _HEIGHT, _MARGIN = 180, 32, 3
# Distinct on white and on black.
_COLOR = "#2A8FD0"


def sparkline(name: str, points: Points) -> Markup:
    """Draws a curve. NaN and infinities break the line.

    Args:
        name: What the curve shows, for screen readers.
        points: The points.

    Returns:
        The picture; empty without a finite value.
    """
    finite = [y for x, y in points if math.isfinite(y) and math.isfinite(x)]
    if not finite:
        return Markup("")
    low, high = min(finite), max(finite)
    left, right = points[0][0], points[-1][0]
    path = []
    is_open = False
    for x, y in _thin_out(points, left, right):
        if not math.isfinite(y):
            is_open = False
            continue
        across = _MARGIN + _share(x, left, right) * (_WIDTH - 2 * _MARGIN)
        down = _HEIGHT - _MARGIN - _share(y, low, high) * (_HEIGHT - 2 * _MARGIN)
        # A line to the same place is a dot, where a point has no neighbours.
        path.append(f"{'L' if is_open else f'M{across:.1f},{down:.1f}L'}{across:.1f},{down:.1f}")
        is_open = True
    label = show(f"{name}: from {short(low)} to {short(high)}", 200)
    return Markup(
        f'<svg role="img" aria-label="{label}" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'style="vertical-align:middle"><title>{label}</title><path d="{"".join(path)}" fill="none" stroke="{_COLOR}" '
        'stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round"/></svg>'
    )


def _share(value: float, low: float, high: float) -> float:
    """Returns where a value is between two others, from 0 to 1."""
    # Halved, because the distance of two floats can overflow.
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5


def _thin_out(points: Points, left: float, right: float) -> Iterable[tuple[float, float]]:
    """Keeps the first, lowest, highest and last point of each column of pixels, in their order."""
    if len(points) <= 4 * _WIDTH:
        return points
    kept: dict[int, None] = {}
    column, members = -1, list[int]()

    def keep() -> None:
        known = [place for place in members if math.isfinite(points[place][1])]
        ends = (members[0], members[-1]) if members else ()
        found = (min(known, key=lambda at: points[at][1]), max(known, key=lambda at: points[at][1])) if known else ()
        kept.update(dict.fromkeys(sorted({*ends, *found})))

    for place, (x, _) in enumerate(points):
        here = int(_share(x, left, right) * _WIDTH)
        if here != column:
            keep()
            column, members = here, []
        members.append(place)
    keep()
    return [points[place] for place in kept]
