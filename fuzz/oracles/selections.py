"""Some keys of rows: what they select is what they select of the whole rows.

The input is a byte of options, a row whose keys are the requested ones, and the rows.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from fuzz.inputs import PART_END, ROW_END, Input, as_text, is_value, rows_of_pairs
from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.log_page import LogPage
from histscan.common.steps import STEP
from tests.support.column_rows import (
    ENCODINGS,
    LOGS,
    Pairs,
    build_table,
    column_name,
    expected_type,
    takes,
    types_of,
)
from tests.support.json_corpus import fingerprint
from tests.support.selected_rows import NOTHING, check_keys, find_below

_MOST_REPLACED = 6
"""Any number of replaced values may count, and each choice of them is tried."""


def check(data: bytes) -> None:
    """Checks columns of some keys and, of logs, dict rows that have all of them."""
    taken = Input(data)
    encoding = [*ENCODINGS][taken.byte() % len(ENCODINGS)]
    first, _, rest = taken.rest().partition(ROW_END)
    keys = [as_text(key) for key in first.split(PART_END)]
    rows: list[Pairs] = [
        [(key, text if is_value(text) else json.dumps(text)) for key, text in row] for row in rows_of_pairs(rest)
    ]
    # Two keys may have one column, if Arrow cannot have their names.
    if not takes(encoding, rows) or len({*map(column_name, keys)}) < len({*keys}):
        return
    page = ENCODINGS[encoding](rows)
    check_keys(page, keys, types=False)
    check_types(build_table([page], keys), keys, rows, encoding)
    if encoding in LOGS:
        check_rows_with_keys(page, keys)


def check_types(table: Any, keys: list[str], rows: list[Pairs], encoding: str) -> None:
    """Checks the columns' types: values that others of their row replaced may count, and no other value does."""
    types = types_of(table)
    for key in keys:
        final: list[object] = []
        replaced: list[object] = []
        for step, row in enumerate(rows):
            found = [find_below({name: json.loads(text)}, key) for name, text in row]
            if key == STEP and encoding in LOGS and all(name != STEP for name, _ in row):
                found.append(step)
            values = [value for value in found if value is not NOTHING]
            final += [value for value in values[-1:] if value is not None]
            replaced += [value for value in values[:-1] if value is not None]
        kinds = {json.dumps(value): value for value in replaced[:_MOST_REPLACED]}
        possible = {
            expected_type([*final, *counted])
            for count in range(len(kinds) + 1)
            for counted in itertools.combinations(kinds.values(), count)
        }
        assert len(replaced) > _MOST_REPLACED or types[column_name(key)] in possible, (key, types, possible)


def check_rows_with_keys(page: object, keys: list[str]) -> None:
    """Checks the dict rows of a log for some keys: the rows that have items of all, with these keys only."""
    assert isinstance(page, LogPage)
    expected = [{key: row[key] for key in keys} for row in page.rows() if row.keys() >= {*keys}]
    page.select_keys(ItemSelection(keys))
    assert fingerprint(page.rows()) == fingerprint(expected)
