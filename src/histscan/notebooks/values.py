"""Values of rows, configs and summaries, as short texts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["as_number", "flat_items", "short"]

_DEEPEST = 8
_DIGITS = 6


def flat_items(values: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yields the entries of a dict; those of nested dicts have dotted names.

    Args:
        values: The dict.
        prefix: What names begin with.
        depth: How deep the dict is nested.

    Yields:
        Names and values.
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            yield from flat_items(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


def as_number(value: object) -> float | None:
    """Converts a number, or a bool, to a float.

    Args:
        value: Any value.

    Returns:
        The float; infinite for an integer beyond the range of floats, and None for anything else.
    """
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def short(value: Any) -> str:
    """Writes a value with few digits.

    Args:
        value: Any value.
    """
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        # Python refuses to write integers of some thousand digits.
        return str(value) if abs(value) < 10**15 else f"{as_number(value):.{_DIGITS}g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        ends = f"{', '.join(map(short, value[:4]))}{', …' if len(value) > 4 else ''}"
        return f"[{ends}]"
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    return str(value)
