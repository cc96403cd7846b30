"""Some keys of rows: what they select is what they select of the whole rows.

The input is a byte of options, a row whose keys are the requested ones, and the rows.
"""

from __future__ import annotations

import json

from fuzz.inputs import PART_END, ROW_END, Input, as_text, is_value, rows_of_pairs
from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.log_page import LogPage
from tests.support.column_rows import ENCODINGS, LOGS, Pairs, column_name, takes
from tests.support.json_corpus import fingerprint
from tests.support.selected_rows import check_keys


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
    # Values that others replaced count for a column's type.
    is_plain = not any("." in key for key in keys) and all(len(row) == len({key for key, _ in row}) for row in rows)
    check_keys(page, keys, types=is_plain)
    if encoding in LOGS:
        check_rows_with_keys(page, keys)


def check_rows_with_keys(page: object, keys: list[str]) -> None:
    """Checks the dict rows of a log for some keys: the rows that have items of all, with these keys only."""
    assert isinstance(page, LogPage)
    expected = [{key: row[key] for key in keys} for row in page.rows() if row.keys() >= {*keys}]
    page.select_keys(ItemSelection(keys))
    assert fingerprint(page.rows()) == fingerprint(expected)
