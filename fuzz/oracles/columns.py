"""Columns against rows: the same values in chunks, in batches, in groups of pages and flat; or the same error.

The input is a byte of options and rows, of which a text need not be JSON. In one encoding, dotted keys are paths.
"""

from __future__ import annotations

import json
import re
from typing import Any

from fuzz.inputs import Input, is_shallow, is_value, rows_of_pairs
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from histscan.columns.chunks import build_group
from histscan.errors import HistoryError
from tests.support import wire
from tests.support.column_faults import as_rows, check_pages
from tests.support.column_rows import (
    ENCODINGS,
    JSON,
    Pairs,
    build_table,
    cells_of,
    check_values,
    column_name,
    in_parts,
    pages_of,
    table_of,
    types_of,
)
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
        assert fingerprint(cells_of(other)) == fingerprint(cells_of(whole))
    check_texts(whole, rows, are_paths=encoding == _PATHS)
    flattened = build_table(pages, flatten=True)
    check_values(flattened, [flat(row) for page in pages for row in page.rows()])
    for other in (build_table(make_pages(), flatten=True), build_table(pages, flatten=True, rows=batch_rows)):
        assert fingerprint(cells_of(other)) == fingerprint(cells_of(flattened))


def check_texts(table: Any, rows: list[Pairs], *, are_paths: bool) -> None:
    """Checks JSON columns to the letter: a nested value has the text of the row, whichever way the row was read."""
    types = types_of(table)
    for row, cells in zip(rows, cells_of(table), strict=True):
        if not all(is_value(text) for _, text in row):
            # Such texts may make up an object of other members, where they are written one after the other.
            continue
        for name, text in texts_of(row, are_paths=are_paths).items():
            if text is not None and types.get(column_name(name)) == JSON and column_name(name) in cells:
                assert cells[column_name(name)] == text, (name, cells[column_name(name)], text)


def texts_of(row: Pairs, *, are_paths: bool) -> dict[str, str | None]:
    """Returns the JSON text of each member of a row; None where items do not say it."""
    texts: dict[str, str | None] = {}
    items: dict[str, list[tuple[list[str], str]]] = {}
    for key, text in row:
        names = key.split(".") if are_paths else [key]
        if len(names) > 1:
            items.setdefault(names[0], []).append((names[1:], text))
        else:
            texts[key] = json_cell(text)
    for name, below in items.items():
        is_plain = name not in texts and all(map(has_plain_text, (text for _, text in below)))
        texts[name] = object_text(below) if is_plain else None
    return texts


def json_cell(text: str) -> str:
    """Returns the text of a JSON value in a column of JSON text."""
    value = json.loads(text)
    if isinstance(value, dict | list) and has_plain_text(text):
        return text.strip(" \t\n\r")
    written = json.dumps(value, ensure_ascii=False)
    return written if is_utf8(written) else json.dumps(value)


def has_plain_text(text: str) -> bool:
    """Returns True if a text has no surrogates, not even escaped ones."""
    escapes = re.findall(r"\\(u[0-9a-fA-F]{4}|.)", text, re.DOTALL)
    return is_utf8(text) and not any(re.fullmatch("u[dD][89a-fA-F]..", escape) for escape in escapes)


def object_text(items: list[tuple[list[str], str]]) -> str | None:
    """Returns the object that items of a row make up, with sorted names; None if they are not the leaves of a tree."""
    below: dict[str, list[tuple[list[str], str]]] = {}
    for names, text in items:
        below.setdefault(json.dumps(names[0], ensure_ascii=False), []).append((names[1:], text))
    members = []
    for name in sorted(below, key=str.encode):
        (names, text), *others = below[name]
        if others and not all(names for names, _ in below[name]):
            return None
        inner = object_text(below[name]) if names else text
        if inner is None:
            return None
        members.append(f"{name}:{inner}")
    return f"{{{','.join(members)}}}"


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
