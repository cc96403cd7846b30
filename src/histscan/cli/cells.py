"""Formats values as cells of a table."""

from __future__ import annotations

from typing import Any

from histscan.cli.figures import short_number
from histscan.cli.json_lines import JsonLineEncoder
from histscan.cli.table import clip

__all__ = ["cell", "is_number"]

_ENCODER = JsonLineEncoder()


def is_number(value: object) -> bool:
    """Returns True if a value is an int or a float; a bool is neither."""
    return type(value) in (int, float)


def cell(value: Any, width: int, digits: int = 5) -> str:
    """Formats a value to fit a cell.

    Args:
        value: A value of a history row.
        width: Terminal columns that the text may take. Numbers are never cut.
        digits: Significant digits of a float.

    Returns:
        A rounded number; a string as it is; ``(histogram)`` for a histogram, and likewise for any dict with a
        ``_type``; JSON for other lists and dicts. Text that is too wide is cut.
    """
    if is_number(value):
        return short_number(value, digits)
    if isinstance(value, str):
        return clip(value, width)
    if isinstance(value, dict) and isinstance(value.get("_type"), str):
        return clip(f"({value['_type']})", width)
    if isinstance(value, list):
        # Long lists are common, and only the beginning is visible.
        value = value[:width]
    return clip(_ENCODER.encode(value)[:-1].decode(), width)
