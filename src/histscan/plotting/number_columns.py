"""Columns of numbers for plots: what a column of a table is as floats, and why it may not be one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histscan.common.json_fields import is_json
from histscan.common.near_keys import describe_missing, list_names

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CurveError", "Floats", "read_numbers"]

Floats = NDArray[np.float64]


class CurveError(ValueError):
    """A key can't be plotted. The message says why, and names keys that can."""


def read_numbers(
    table: pyarrow.Table, key: str, find_known: Callable[[], Sequence[str]], owner: str = "row"
) -> tuple[Floats, NDArray[np.bool_]]:
    """Reads a column as floats.

    Args:
        table: The table.
        key: The name of the column.
        find_known: Returns all keys of the history, nested ones dotted; called for messages only.
        owner: What messages say could have the key: ``"row"`` or ``"run"``.

    Returns:
        The numbers, and for each row True if it has one. Bools count as 0 and 1.

    Raises:
        CurveError: No row has the key, or it is not numeric.
    """
    import pyarrow.types as types

    place = table.schema.names.index(key)
    field, column = table.schema.field(place), table.column(place)
    if column.null_count == len(column):
        raise CurveError(_why_nothing(find_known, key, len(column), owner))
    kind = field.type
    if is_json(field):
        column = _json_numbers(find_known, key, column)
    elif types.is_string(kind) or types.is_list(kind):
        raise CurveError(f"{key!r} is not numeric: its values are {'text' if types.is_string(kind) else 'lists'}")
    elif types.is_boolean(kind):
        column = column.cast("uint8")
    present = np.asarray(column.is_valid().to_numpy(), dtype=np.bool_)
    floats = column.cast("float64", safe=False).fill_null(float("nan"))
    return np.asarray(floats.to_numpy(), dtype=np.float64), present


def _json_numbers(
    find_known: Callable[[], Sequence[str]], key: str, column: pyarrow.ChunkedArray
) -> pyarrow.ChunkedArray:
    """Makes floats of a column of JSON text, which mixed numbers become that no type holds exactly."""
    import pyarrow

    numbers: list[float | None] = []
    for text in column.to_pylist():
        value = None if text is None else json.loads(text)
        if value in ("NaN", "Infinity", "-Infinity"):
            value = float(value)
        if isinstance(value, dict):
            below = [name for name in find_known() if name.startswith(f"{key}.")]
            hint = f"; plot {list_names(below)}" if below else ""
            raise CurveError(f"{key!r} is not numeric: its values are nested{hint}")
        if value is not None and not isinstance(value, int | float):
            raise CurveError(
                f"{key!r} is not numeric: some of its values are {'lists' if type(value) is list else 'text'}"
            )
        numbers.append(None if value is None else _as_float(value))
    return pyarrow.chunked_array([pyarrow.array(numbers, pyarrow.float64())])


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _why_nothing(find_known: Callable[[], Sequence[str]], key: str, rows: int, owner: str) -> str:
    """Tells why a key has no value anywhere."""
    if not rows:
        return "there are no rows to plot"
    known = find_known()
    if key in known:
        return f"{key!r} is null in every row"
    return describe_missing(key, known, owner)
