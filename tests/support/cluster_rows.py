"""Compares tables of many runs, whichever engine made them."""

from __future__ import annotations

import json
import math
from typing import Any


def plain_rows(table: Any) -> list[dict[str, Any]]:
    """The rows of an Arrow table: without nulls, numbers as floats, and JSON text parsed."""
    return [{key: _plain(value) for key, value in row.items() if value is not None} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in '{["0123456789-':
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return "NaN" if math.isnan(value) else float(value)
