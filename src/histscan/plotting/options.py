"""Options of plots that a caller passes, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from histscan.plotting.axis_values import Alignment
from histscan.plotting.curves import Curve, CurveError
from histscan.plotting.scales import Panels

__all__ = ["LARGEST_SIZE", "SMALLEST_SIZE", "USUAL_SMOOTHING", "check_choice", "check_options", "find_nonpositive"]

USUAL_SMOOTHING = 0.6
"""The weight of ``smooth=True``."""

SMALLEST_SIZE, LARGEST_SIZE = 200, 10_000
"""The sides of a picture in pixels."""


def check_options(
    *, smooth: float | None, align: str | None, panels: str, size: tuple[int, int] | None
) -> tuple[float | None, tuple[int | None, int | None]]:
    """Checks the options that all plots have.

    Args:
        smooth: The weight of the moving average, True for the usual one, False or None for none.
        align: An `Alignment`, or None.
        panels: A `Panels`.
        size: Width and height in pixels, or None.

    Returns:
        The weight, None for none; and the width and the height, None for the usual ones.

    Raises:
        ValueError: One of them is out of its range.
    """
    if smooth is True:
        smooth = USUAL_SMOOTHING
    elif smooth is False:
        smooth = None
    if smooth is not None and not 0 <= smooth < 1:
        raise ValueError(f"smooth must be a weight from 0 to below 1, not {smooth!r}")
    check_choice("align", align, get_args(Alignment))
    check_choice("panels", panels, get_args(Panels))
    if size is None:
        return smooth, (None, None)
    width, height = size
    if not all(SMALLEST_SIZE <= side <= LARGEST_SIZE for side in (width, height)):
        raise ValueError(f"size must be width and height in pixels, {SMALLEST_SIZE} to {LARGEST_SIZE:,}, not {size!r}")
    return smooth, (width, height)


def check_choice(name: str, value: str | None, known: Iterable[str]) -> None:
    """Checks an option that has one of a few values.

    Args:
        name: The option's name.
        value: Its value; None is always valid.
        known: The values.

    Raises:
        ValueError: It is none of them.
    """
    known = list(known)
    if value is not None and value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")


def find_nonpositive(curves: Mapping[str, Sequence[Curve]]) -> list[str]:
    """Finds values that a logarithmic axis can't show.

    Args:
        curves: The curves of each key.

    Returns:
        A message for each key that has such values.

    Raises:
        CurveError: A key has no other values.
    """
    found = []
    for key, of_key in curves.items():
        missing = sum(int((curve.y <= 0).sum()) for curve in of_key)
        if missing and not any((curve.y > 0).any() for curve in of_key):
            raise CurveError(f"log_y can't show {key!r}: it has no positive value")
        if missing:
            found.append(f"log_y leaves out {missing:,} value{'' if missing == 1 else 's'} of {key!r} at or below 0")
    return found
