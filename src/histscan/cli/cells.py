"""Values as cells of a table."""

from __future__ import annotations

from typing import Any

from histscan.cli.figures import short_number
from histscan.cli.json_lines import JsonLineEncoder
from histscan.cli.table import clip

__all__ = ["cell", "is_number"]

_ENCODER = JsonLineEncoder()


def is_number(value: object) -> bool:
    """Tells whether a value is an int or a float; truth values are not."""
    return type(value) in (int, float)


def cell(value: Any, width: int, digits: int = 5) -> str:
    """Writes a value so that it fits a cell.

    Args:
        value: A value of a history row.
        width: Columns that it may take, if it is no number.
        digits: Significant digits of a float.

    Returns:
        Numbers with few digits, texts as they are, ``(histogram)`` for a histogram and likewise for what else says
        what it is, and other lists and dicts as JSON; cut if they are too wide.
    """
    if is_number(value):
        return short_number(value, digits)
    if isinstance(value, str):
        return clip(value, width)
    if isinstance(value, dict) and isinstance(value.get("_type"), str):
        return clip(f"({value['_type']})", width)
    if isinstance(value, list):
        # Long lists are common, and only the beginning shows.
        value = value[:width]
    return clip(_ENCODER.encode(value)[:-1].decode(), width)
