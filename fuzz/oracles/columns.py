"""Columns against rows: the same values in one chunk, in batches and flat; or the same error after the same rows.

The input is a byte of options and rows, of which a text need not be JSON.
"""

from __future__ import annotations

from fuzz.inputs import Input, is_shallow, is_value, rows_of_pairs
from tests.support.column_faults import check_pages
from tests.support.column_rows import ENCODINGS, Pairs, build_table, check_values, pages_of, rows_of, takes
from tests.support.json_corpus import fingerprint, is_utf8
from tests.support.selected_rows import flat


def check(data: bytes) -> None:
    """Checks the columns of rows in an encoding, in pages of a few rows."""
    taken = Input(data)
    options = taken.byte()
    encoding = [*ENCODINGS][options % len(ENCODINGS)]
    size, batch_rows = 1 + (options >> 3) % 4, 1 + (options >> 5) % 4
    rows: list[Pairs] = [*rows_of_pairs(taken.rest())]
    if not all(is_shallow(text) and is_utf8(key + text) for row in rows for key, text in row):
        return
    if not all(is_value(text) for row in rows for _, text in row):
        # A text that is not JSON may end the row, or what is around it.
        if encoding != "sampled":
            check_pages(pages_of(encoding, rows, size), batch_rows)
        return
    if not takes(encoding, rows):
        return
    pages = pages_of(encoding, rows, size)
    assert not check_pages(pages, batch_rows)
    whole = build_table(pages)
    batches = build_table(pages, rows=batch_rows)
    assert batches.schema == whole.schema
    assert fingerprint(rows_of(batches)) == fingerprint(rows_of(whole))
    check_values(build_table(pages, flatten=True), [flat(row) for page in pages for row in page.rows()])
