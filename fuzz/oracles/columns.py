"""Columns against rows: the same values in chunks, in batches, in groups of pages and flat; or the same error.

The input is a byte of options and rows, of which a text need not be JSON. In one encoding, dotted keys are paths.
"""

from __future__ import annotations

from fuzz.inputs import Input, is_shallow, is_value, rows_of_pairs
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from histscan.columns.chunks import build_group
from histscan.errors import HistoryError
from tests.support import wire
from tests.support.column_faults import as_rows, check_pages
from tests.support.column_rows import ENCODINGS, Pairs, build_table, check_values, in_parts, pages_of, rows_of, table_of
from tests.support.encodings import log_page
from tests.support.json_corpus import fingerprint, is_utf8
from tests.support.selected_rows import flat

_PATHS = "log, nested key"


def check(data: bytes) -> None:
    """Checks the columns of rows in an encoding, in pages of a few rows."""
    taken = Input(data)
    options = taken.byte()
    encoding = [*ENCODINGS][options % len(ENCODINGS)]
    size, batch_rows = 1 + (options >> 3) % 4, 1 + (options >> 5) % 4
    rows: list[Pairs] = [*rows_of_pairs(taken.rest())]
    if not all(is_shallow(text) and is_utf8(key + text) for row in rows for key, text in row):
        return
    if encoding == "sampled" and not all(is_value(text) for row in rows for _, text in row):
        # A text that is not JSON may end the row, or what is around it.
        return

    def make_pages() -> list[Page]:
        return pages_of_paths(rows, size) if encoding == _PATHS else pages_of(encoding, rows, size)

    pages = make_pages()
    check_scan(pages)
    if check_pages(pages, batch_rows):
        return
    whole = build_table(pages)
    # Groups of pages that have not been read before take a way of their own.
    group = table_of(build_group(make_pages(), keys=None, flatten=False))
    for other in (group, build_table(pages, rows=batch_rows)):
        assert other.schema == whole.schema
        assert fingerprint(rows_of(other)) == fingerprint(rows_of(whole))
    check_values(build_table(pages, flatten=True), [flat(row) for page in pages for row in page.rows()])


def pages_of_paths(rows: list[Pairs], size: int) -> list[Page]:
    """Returns pages of logs in which a dotted key is a path of nested ones."""
    records = [
        wire.history_record([(key.split("."), text) for key, text in row], step) for step, row in enumerate(rows)
    ]
    return [log_page(wire.write_log(part)) for part in in_parts(records, size)]


class _PageScan(RowScan):
    """Iterates over pages, whose rows may share a decoder."""

    def __init__(self, pages: list[Page]) -> None:
        super().__init__(0, len(pages))
        self._all_pages = pages

    def _load_next(self) -> None:
        if self.page_offset == self._stop_step:
            self._take_rows([])
            return
        page = self._all_pages[self.page_offset]
        self.page_offset += 1
        self._take_page(page)


def check_scan(pages: list[Page]) -> None:
    """Checks that iterating over pages gives the rows that each page has, and the error of the first that fails."""
    expected, expected_error = as_rows(pages)
    rows = []
    error = None
    try:
        for row in _PageScan(pages):
            rows.append(row)
    except HistoryError as caught:
        error = caught
    assert fingerprint(rows) == fingerprint(expected)
    assert (error and error.reason) == (expected_error and expected_error.reason)
