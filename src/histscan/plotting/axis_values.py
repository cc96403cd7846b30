"""The x of rows that were logged without the key of the x axis."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from histscan.plotting.number_columns import Floats

__all__ = ["Alignment", "fill_axis"]

Alignment = Literal["outer", "ffill", "interpolate"]
"""How a row gets its x: from another row of the same step, the last one before it, or those before and after it."""


def fill_axis(x: Floats, has_x: NDArray[np.bool_], steps: Floats, align: str) -> None:
    """Sets the x of the rows of a run that have none, in place.

    Args:
        x: The x of each row.
        has_x: For each row, True if it has one.
        steps: The step of each row.
        align: An `Alignment`.
    """
    known = np.flatnonzero(has_x & np.isfinite(steps))
    rest = np.flatnonzero(~has_x & np.isfinite(steps))
    if not len(known) or not len(rest):
        return
    order = known[np.argsort(steps[known], kind="stable")]
    at, values = steps[order], x[order]
    before = np.searchsorted(at, steps[rest], side="right") - 1
    if align == "interpolate":
        filled = np.interp(steps[rest], at, values, left=np.nan, right=np.nan)
    else:
        filled = np.where(before >= 0, values[np.maximum(before, 0)], np.nan)
        if align == "outer":
            filled[at[np.maximum(before, 0)] != steps[rest]] = np.nan
    is_found = np.isfinite(filled)
    x[rest[is_found]] = filled[is_found]
    has_x[rest[is_found]] = True
