"""The step of a row: its key, and the rule for rows without a whole number there."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["STEP", "UNBOUNDED", "step_after", "whole_step"]

STEP = "_step"
"""The key of a row's step."""

UNBOUNDED = sys.maxsize
"""The stop step of a scan that goes to the end of the history."""


def whole_step(value: Any) -> int | None:
    """Converts the value of ``_step`` to a step.

    Args:
        value: The value; None if the row has none.

    Returns:
        The step; None unless the value is a whole number of 64 bits, as an int or a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**63) <= value < 2**63:
        return None
    return int(value) if value == int(value) else None


def step_after(value: Any, previous: int) -> int:
    """Returns the step of a row, as W&B's server counts.

    Args:
        value: The row's ``_step`` value; None if it has none.
        previous: The step of the row before; -1 for the first row.

    Returns:
        The value if it is a whole number, else ``previous + 1``.
    """
    step = whole_step(value)
    return previous + 1 if step is None else step
