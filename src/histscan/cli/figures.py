"""Formats numbers for people."""

from __future__ import annotations

import math

from histscan.cli.json_lines import nonfinite_name

__all__ = ["file_size", "plural", "short_number"]


def short_number(value: float, digits: int = 5) -> str:
    """Formats a number with few digits: ``0.31253``, ``4999``, ``1.2346e-07``, ``NaN``.

    Args:
        value: The number. Ints below 10**12 keep all their digits.
        digits: Significant digits of a float.

    Returns:
        The text; ``huge`` or ``-huge`` for an int beyond the range of floats.
    """
    if isinstance(value, int):
        # Python refuses to format ints of some thousand digits, and nobody wants to read them.
        if -(10**12) < value < 10**12:
            return str(value)
        try:
            value = float(value)
        except OverflowError:
            return "-huge" if value < 0 else "huge"
    if not math.isfinite(value):
        return nonfinite_name(value)
    return f"{value:.{digits}g}"


def file_size(size: int) -> str:
    """Formats a file size: ``812 B``, ``5.3 MB``.

    Args:
        size: The number of bytes.

    Returns:
        The size in the largest fitting unit, by powers of 1,000.
    """
    if size < 1_000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB"):
        amount /= 1_000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1_000:,.1f} TB"


def plural(number: int, thing: str) -> str:
    """Formats a count: ``1 row``, ``5,000 rows``.

    Args:
        number: The count.
        thing: The singular noun.

    Returns:
        The count and the noun, which gets an ``s`` unless the count is 1.
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
