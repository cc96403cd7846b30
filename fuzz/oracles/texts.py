"""Rows that are JSON texts, in each encoding: the oracle is `json.loads` of each text."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fuzz.inputs import is_shallow, texts_of, values_of
from histscan._core.pages.lines_page import LinesPage
from histscan._core.pages.page import Page
from histscan.errors import HistoryDecodeError
from tests.support.encodings import LINES, TEXT, Encoding
from tests.support.json_corpus import fingerprint, is_json, is_utf8


def check(data: bytes) -> None:
    """Checks a `TextPage` of the input's texts, one of their UTF-8, and pages of their lines."""
    texts = texts_of(data)
    check_texts(TEXT, texts)
    check_texts(LINES, texts)
    check_lines(data, texts)


def check_lines(data: bytes, texts: Sequence[str]) -> None:
    """Checks pages of lines: all those of the input are in one of them, or blank, or end one."""
    lines = data.split(b"\n")
    number = stop = 0
    while stop <= len(data):
        page = LinesPage(data, stop)
        assert not any(line.strip(b" \t\r") for line in lines[number : number + page.blank_count])
        number += page.blank_count
        assert [page.text(place) for place in range(len(page))] == lines[number : number + len(page)]
        number += len(page)
        if number < len(lines):
            assert not lines[number].lstrip(b" \t\r").startswith(b"{")
            if len(page) == 0:
                break
        stop = page.stop
    # Objects in texts without a line break are rows.
    whole = [text for text in texts if text.startswith("{") and "\n" not in text and is_utf8(text)]
    if whole and all(map(is_shallow, whole)):
        check_texts(Encoding("lines", _lines_page, lambda value, _: value, is_utf8), whole)


def _lines_page(rows: Sequence[str]) -> Page:
    return LinesPage("\n".join(rows).encode())


def check_texts(encoding: Encoding, texts: Sequence[str]) -> None:
    """Checks a page of texts: all rows, or those before the first that is not JSON, and each by itself."""
    if not all(is_shallow(text) and encoding.takes(text) for text in texts):
        return
    page = encoding.page(texts)
    assert len(page) == len(texts)
    values, bad = values_of(texts)
    expected = [encoding.row(value, place) for place, value in enumerate(values)]
    if bad is None:
        assert fingerprint(page.rows()) == fingerprint(expected)
    else:
        error_at(page, bad)
    for place, text in enumerate(texts):
        if is_json(text):
            # The steps that a log gives to rows depend on the rows before.
            if bad is None or place < bad:
                assert fingerprint(page.row(place)) == fingerprint(encoding.row(json.loads(text), place))
            else:
                page.row(place)
        else:
            row_error(page, place)


def row_error(page: Page, place: int) -> HistoryDecodeError:
    """Returns the error of a row, which must have one that names the row and a byte."""
    try:
        row = page.row(place)
    except HistoryDecodeError as error:
        assert error.row == place, (error.row, place)
        assert error.byte is not None
        assert error.byte >= 0
        return error
    raise AssertionError(f"row {place} should not be readable, but is {row!r:.200}")


def error_at(page: Page, place: int) -> None:
    """Checks that all rows at once end with the error of the row at a place."""
    try:
        rows = page.rows()
    except HistoryDecodeError as error:
        alone = row_error(page, place)
        assert (error.row, error.byte, error.reason) == (place, alone.byte, alone.reason), (str(error), str(alone))
        return
    raise AssertionError(f"row {place} should not be readable, but all rows are {rows!r:.200}")
