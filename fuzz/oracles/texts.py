"""Rows that are JSON texts, in each encoding: the oracle is `json.loads` of each text."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fuzz.inputs import is_shallow, texts_of, values_of
from histscan._core.pages.page import Page
from histscan.errors import HistoryDecodeError
from tests.support.encodings import LINES, TEXT, Encoding
from tests.support.json_corpus import fingerprint, is_json


def check(data: bytes) -> None:
    """Checks a `TextPage` of the input's texts, and one of their UTF-8."""
    texts = texts_of(data)
    check_texts(TEXT, texts)
    check_texts(LINES, texts)


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
