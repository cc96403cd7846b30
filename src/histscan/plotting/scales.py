"""Which curves share a panel: those that can be read on one y axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from histscan.plotting.curves import Curve

__all__ = ["Panels", "panels_of", "shared_label"]

Panels = Literal["auto", "one", "each"]
"""``"auto"`` gives keys of very different scale panels of their own, ``"one"`` has all keys in one, ``"each"`` none."""

# A curve whose own range is a smaller part of the axis looks like a straight line.
_SMALLEST_SHARE, _SMALLEST_LOG_SHARE = 0.05, 0.15
# More lines in a panel can't be told apart.
_MOST_CURVES = 7
# Spikes do not decide: most of the values must be readable.
_MIDDLE = (2, 98)


def panels_of(curves: Sequence[Curve], panels: Panels, *, is_log: bool) -> list[list[Curve]]:
    """Distributes curves to panels.

    Args:
        curves: The curves.
        panels: How to.
        is_log: True for a logarithmic y axis, on which numbers of any size can be read.

    Returns:
        The curves of each panel, in the order in which they were given.
    """
    if panels == "one" or len(curves) < 2:
        return [list(curves)]
    if panels == "each":
        return [[curve] for curve in curves]
    smallest = _SMALLEST_LOG_SHARE if is_log else _SMALLEST_SHARE
    found: list[list[Curve]] = []
    ranges: list[list[tuple[float, float]]] = []
    for curve in curves:
        own = _range(curve, is_log)
        for members, of_members in zip(found, ranges, strict=True):
            if len(members) < _MOST_CURVES and _are_readable([*of_members, own], smallest):
                members.append(curve)
                of_members.append(own)
                break
        else:
            found.append([curve])
            ranges.append([own])
    return found


def _range(curve: Curve, is_log: bool) -> tuple[float, float]:
    """Returns the range of most values; from NaN to NaN if there are none."""
    values = curve.y[np.isfinite(curve.y)]
    if is_log:
        values = np.log10(values[values > 0])
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, _MIDDLE)
    return float(low), float(high)


def _are_readable(ranges: Iterable[tuple[float, float]], smallest: float) -> bool:
    """Returns True if each of some ranges is at least the smallest part of all of them together."""
    known = [(low, high) for low, high in ranges if low == low]
    if not known:
        return True
    # Halved, because the distance of two floats can overflow.
    whole = max(high for _, high in known) / 2 - min(low for low, _ in known) / 2
    # A constant has no range; it is readable wherever the others are, or beside another of about its size.
    parts = [high / 2 - low / 2 or (abs(high) / 8 if len(known) > 1 else 0.0) for low, high in known]
    moving = [high / 2 - low / 2 for low, high in known if high > low]
    return all(part >= smallest * whole for part in moving or parts)


def shared_label(keys: Sequence[str], longest: int) -> str:
    """Names the y axis of several keys.

    Args:
        keys: The keys.
        longest: The largest number of characters.

    Returns:
        The key; the last part that all of them share (``loss`` for ``loss`` and ``validation.loss``); or all keys if
        they fit; or ``value``.
    """
    if len(keys) == 1:
        return keys[0]
    lasts = {key.replace("/", ".").rsplit(".", 1)[-1] for key in keys}
    if len(lasts) == 1:
        return lasts.pop()
    joined = ", ".join(keys)
    return joined if len(joined) <= longest else "value"
