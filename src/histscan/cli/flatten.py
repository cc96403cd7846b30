"""Flattens nested rows: ``{"validation": {"loss": 1}}`` has a column ``validation.loss``."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from histscan.common.keys import LEADING
from histscan.common.steps import STEP

__all__ = ["Column", "column_name", "flatten", "order_columns", "sort_columns", "unique_names", "value_type"]

Column = str | tuple[str, ...]
"""A key, or the keys that lead to a nested value. A key ``a.b`` and a ``b`` nested in ``a`` are different columns."""


def flatten(row: dict[Any, Any], *, typed_whole: bool = False) -> dict[Column, Any]:
    """Flattens the nested dicts of a row.

    Args:
        row: A row of a history.
        typed_whole: Keep dicts with a ``_type`` (histograms, images, tables) as one value.

    Returns:
        The values by column. Lists and empty dicts are values. `row` itself if nothing in it is nested.
    """
    if dict not in map(type, row.values()):
        return row
    columns: dict[Column, Any] = {}
    for key, value in row.items():
        if type(value) is dict:
            _add_nested(columns, (key,), value, typed_whole)
        else:
            columns[key] = value
    return columns


def _add_nested(columns: dict[Column, Any], place: tuple[str, ...], members: dict[str, Any], typed_whole: bool) -> None:
    if not members or (typed_whole and type(members.get("_type")) is str):
        columns[place if len(place) > 1 else place[0]] = members
        return
    for key, value in members.items():
        member_place = (*place, key)
        if type(value) is dict:
            _add_nested(columns, member_place, value, typed_whole)
        else:
            columns[member_place] = value


def column_name(column: Column) -> str:
    """Returns the name of a column for people: nested keys joined by dots."""
    return column if isinstance(column, str) else ".".join(column)


def sort_columns(columns: Iterable[Column], keys: Sequence[str] = (), first: Sequence[str] = ()) -> list[Column]:
    """Sorts columns for people; the order of keys in a log is random.

    Args:
        columns: The columns.
        keys: Keys whose columns come before others, in this order.
        first: Columns that come before the step, in this order.

    Returns:
        Those of `first`, the step, then the columns of `keys`, then the others by name.
    """
    places = {key: place for place, key in enumerate(keys)}
    firsts = {key: place - len(first) for place, key in enumerate(first)}

    def order(column: Column) -> tuple[int, bool, int, str, tuple[str, ...]]:
        name = column_name(column)
        top, below = (column, ()) if isinstance(column, str) else (column[0], column)
        rank = firsts.get(column, 0) if isinstance(column, str) else 0
        return rank, name != STEP, places.get(top, len(places)), name, below

    return sorted(columns, key=order)


def order_columns(
    rows: Sequence[dict[Column, Any]],
    known: Container[Column],
    *,
    keys: Sequence[str] = (),
    first: Sequence[str] = (),
    by_name: bool = False,
) -> list[Column]:
    """Finds the columns of rows, in the order of files.

    Args:
        rows: Flattened rows.
        known: Columns to leave out.
        keys: As for `sort_columns`.
        first: As for `sort_columns`.
        by_name: The keys of a row have no order of their own.

    Returns:
        Those of `first`, those that wandb adds to each row, those of `keys`; then the others in the order of the rows
        in which they first appear, within a row in its order or by name.
    """
    found: dict[Column, None] = {}
    for row in rows:
        new = [column for column in row if column not in known and column not in found]
        if by_name and len(new) > 1:
            new.sort(key=lambda column: (column_name(column), column if isinstance(column, tuple) else ()))
        found.update(dict.fromkeys(new))
    places = {name: place for place, name in enumerate(dict.fromkeys([*first, *LEADING, *keys]))}
    return sorted(found, key=lambda name: places.get(name if isinstance(name, str) else name[0], len(places)))


def unique_names(columns: Iterable[Column]) -> list[str]:
    """Gives each column a unique name.

    Args:
        columns: The columns.

    Returns:
        The names. If there are both a key ``a.b`` and a ``b`` nested in ``a``, the later one is ``a.b#2``.
    """
    names: dict[str, None] = {}
    for column in columns:
        name = column_name(column)
        unique, copies = name, 1
        while unique in names:
            copies += 1
            unique = f"{name}#{copies}"
        names[unique] = None
    return list(names)


def value_type(value: object) -> str:
    """Names the type of a value.

    Args:
        value: A value of a flattened row.

    Returns:
        ``int``, ``float``, ``bool``, ``text``, ``list``, ``dict``, ``null``, or the ``_type`` of a dict that has one.
    """
    if isinstance(value, dict):
        named = value.get("_type")
        return named if isinstance(named, str) else "dict"
    return {"str": "text", "NoneType": "null"}.get(type(value).__name__, type(value).__name__)
