"""Rows of which only some keys were requested, and rows whose nested values have names of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from histscan._core.pages.page import Page
from tests.support.column_rows import build_table, check_values, column_name, expected_type, types_of
from tests.support.log_samples import Row

NOTHING = object()


def find_below(value: Any, dotted: str) -> Any:
    """What a dotted name leads to within a value; `NOTHING` if nothing."""
    if not isinstance(value, dict):
        return NOTHING
    if dotted in value:
        return value[dotted]
    found = (find_below(value[name], dotted[len(name) + 1 :]) for name in value if dotted.startswith(f"{name}."))
    return next((some for some in found if some is not NOTHING), NOTHING)


def selected(row: Mapping[str, Any], keys: Sequence[str]) -> Row:
    """The values that a row has for keys; of several members that lead to one, the last."""
    values: Row = dict.fromkeys(keys)
    for name, value in row.items():
        for key in keys:
            found = find_below({name: value}, key)
            if found is not NOTHING:
                values[key] = found
    return values


def check_keys(page: Page, keys: Sequence[str], *, types: bool = True) -> None:
    """Checks a page of which only some keys become columns."""
    rows = [selected(row, keys) for row in page.rows()]
    table = build_table([page], keys)
    assert table.num_rows == len(page)
    columns = {column_name(key): key for key in keys}
    assert table.column_names == [*columns]
    check_values(table, rows)
    for name, type_name in types_of(table).items():
        values = [row[columns[name]] for row in rows]
        assert not types or type_name == expected_type([value for value in values if value is not None])


def flat(row: Mapping[str, Any], prefix: str = "") -> Row:
    """A row whose nested values have dotted names; an empty object stays what it is."""
    members: Row = {}
    for key, value in row.items():
        if isinstance(value, dict) and value:
            members.update(flat(value, f"{prefix}{key}."))
        else:
            members[prefix + key] = value
    return members
