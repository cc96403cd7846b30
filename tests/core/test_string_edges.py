"""Strings with what is special, and with their ends, at every place of the blocks that they are read by."""

from __future__ import annotations

import json
import sys
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import HistoryPage, Page, ProtobufPage
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.column_rows import ENCODINGS as COLUMN_ENCODINGS
from tests.support.column_rows import table_of
from tests.support.encodings import PROTOBUF, TEXT, TEXT_ENCODINGS, Encoding
from tests.support.json_corpus import NOT_UTF8

SPECIAL = ['\\"', "\\\\", "\\n", "\\u00e9", "\\ud83d\\ude00", "é", "数", "😀", "\\n\\té数😀\\/"]
SPECIAL += ["\\\\" * 17, '\\"' * 33, '\\\\\\"' * 9]
BEFORE = (*range(36), *range(60, 68))
AFTER = (0, 1, 13, 14, 15, 16, 17, 31, 32, 33, 130)
STRINGS = [f'"{"a" * before}{special}{"b" * after}"' for before, special, after in product(BEFORE, SPECIAL, AFTER)]
# Of every length, so that each ends at every place of a block, and a column's room at every place of a text.
LENGTHS = [*range(150), 255, 256, 1_000, 16_370, 16_384, 40_000]
PLAIN = [f'"{"ab" * length}"'[: length + 1] + '"' for length in LENGTHS]
NUMBERS = ['"NaN"', '"Infinity"', '"-Infinity"', '"Nano"', '"Infinity "', '"-"', '"-Inf"']
LITERALS = ["true", "false", "null"]
ENDED_WRONGLY = ['"abc"x', '"abc""', '"abc', "truex", "tru", "falsetrue", "fals", "true false", "nul", '"', "t"]
# Single characters, and bytes between escapes and such characters.
LETTERS = 'abc d"\\\n\t/é߿ࠀ数\ud7ff\ue000\uffff😀\U0010ffff'
JUNK = [junk for junk in NOT_UTF8 if b"\\" not in junk]
MALFORMED = ["\x01", "\\x", "\\u12g4", "\\u1z", "\\ "]


@pytest.mark.parametrize("encoding", TEXT_ENCODINGS, ids=lambda encoding: encoding.name)
def test_dict_rows(encoding: Encoding) -> None:
    values = [json.loads(text) for text in STRINGS]
    if encoding is PROTOBUF or encoding.name.startswith("log"):
        page = encoding.page(STRINGS)
        assert [row["value"] for row in page.rows()] == values
    else:
        page = encoding.page([f'{{"value":{text}}}' for text in STRINGS])
        assert [row["value"] for row in page.rows()] == values
        # Within an array, and as keys.
        nested = encoding.page([f'{{"value":[{text},{{{text}:{text}}}]}}' for text in STRINGS])
        assert [row["value"] for row in nested.rows()] == [[value, {value: value}] for value in values]


@pytest.mark.parametrize("encoding", COLUMN_ENCODINGS)
@pytest.mark.parametrize("special", ["\\n", "\\u00e9", "\\ud83d\\ude00", "é", "数", "😀"])
def test_strings_longer_than_what_is_read_at_first(special: str, encoding: str) -> None:
    # Of 4 KiB, at the end of which the special character is.
    texts = [f'"{"a" * before}{special}{"b" * after}"' for before in range(4_085, 4_100) for after in (0, 1, 20, 300)]
    page = COLUMN_ENCODINGS[encoding]([[("value", text)] for text in ['"a"', *texts]])
    assert [row["value"] for row in page.rows()] == ["a", *map(json.loads, texts)]


@pytest.mark.parametrize("encoding", COLUMN_ENCODINGS)
def test_columns(encoding: str) -> None:
    page = COLUMN_ENCODINGS[encoding]([[("value", text)] for text in STRINGS])
    builder = ColumnBuilder()
    assert builder.add_page(page, 0) == len(STRINGS)
    table = table_of([builder.take_chunk()])
    assert table.column("value").to_pylist() == [json.loads(text) for text in STRINGS]


@pytest.mark.parametrize("encoding", COLUMN_ENCODINGS)
@given(st.lists(st.tuples(st.text(LETTERS, max_size=300), st.booleans()), min_size=1, max_size=12))
@settings(max_examples=60)
def test_any_letters(encoding: str, texts: list[tuple[str, bool]]) -> None:
    # The key is known from the first row on. Letters are escaped by their numbers, or not.
    rows = [[("value", json.dumps(text, ensure_ascii=is_escaped))] for text, is_escaped in [("", False), *texts]]
    expected = ["", *(text for text, _ in texts)]
    page = COLUMN_ENCODINGS[encoding](rows)
    builder = ColumnBuilder()
    builder.add_page(page)
    assert table_of([builder.take_chunk()]).column("value").to_pylist() == expected
    values = [row["value"] for row in page.rows()]
    assert values == expected
    # No str is wider than its characters need.
    sizes = [(sys.getsizeof(value), sys.getsizeof(_new(value))) for value in values if len(value) > 1]
    assert all(size == least for size, least in sizes)


def _new(text: str) -> str:
    """The same text in another str, as Python makes it."""
    return text.encode("utf-32-le").decode("utf-32-le")


@pytest.mark.parametrize("letters", ["a", "é", "数", "😀", '\\"'])
@pytest.mark.parametrize("junk", JUNK)
def test_bytes_that_are_not_utf8_at_every_place(junk: bytes, letters: str) -> None:
    good = [("value", '"abc"')]
    for before, after in product(range(67), (b"", b"b", b"b" * 64)):
        text = b"a" * (before % 4) + letters.encode() * (before // 4 * 4 // len(letters.encode())) + junk + after
        item = wire.field(1, "value") + wire.field(16, b'"' + text + b'"')
        pages: list[Page] = [ProtobufPage(wire.page([good] * 3) + wire.field(1, wire.field(1, item)))]
        if b"\\" not in text:
            row = b'"{\\"value\\":\\"' + text + b'\\"}"'
            rows = b",".join([*[rb'"{\"value\":\"abc\"}"'] * 3, row])
            pages.append(HistoryPage(b'{"data":{"project":{"run":{"history":[' + rows + b"]}}}}"))
        for page in pages:
            builder = ColumnBuilder()
            with pytest.raises(HistoryDecodeError, match="UTF-8"):
                builder.add_page(page)
            assert table_of([builder.take_chunk()]).to_pylist() == [{"value": "abc"}] * 3
            with pytest.raises(HistoryDecodeError, match="UTF-8"):
                page.row(3)


@pytest.mark.parametrize("encoding", COLUMN_ENCODINGS)
def test_columns_of_plain_values(encoding: str) -> None:
    values = [*PLAIN, *reversed(PLAIN), *NUMBERS, *LITERALS * 3, *PLAIN]
    rows = [[("first", value), ("number", "1.5"), ("last", value)] for value in values]
    page = COLUMN_ENCODINGS[encoding](rows)
    builder = ColumnBuilder()
    assert builder.add_page(page, 0) == len(rows)
    table = table_of([builder.take_chunk()])
    # Bools among strings make a column of JSON text.
    expected = [None if value == "null" else json.loads(value) for value in values]
    for name in ("first", "last"):
        cells = [None if cell is None else json.loads(cell) for cell in table.column(name).to_pylist()]
        assert cells == expected


@pytest.mark.parametrize("value", ENDED_WRONGLY)
@pytest.mark.parametrize("encoding", [name for name in COLUMN_ENCODINGS if name != "sampled"])
def test_values_that_end_wrongly(encoding: str, value: str) -> None:
    good = [("value", '"abc"'), ("flag", "true")]
    for bad in ([("value", value), ("flag", "true")], [("flag", "true"), ("value", value)]):
        builder = ColumnBuilder()
        with pytest.raises(HistoryDecodeError):
            builder.add_page(COLUMN_ENCODINGS[encoding]([*[good] * 9, bad, good]), 0)
        table = table_of([builder.take_chunk()]).select(["value", "flag"])
        assert table.to_pylist() == [{"value": "abc", "flag": True}] * 9


@pytest.mark.parametrize("special", MALFORMED)
def test_malformed_strings(special: str) -> None:
    for before, after in product(BEFORE, AFTER):
        text = f'{{"value":"{"a" * before}{special}{"b" * after}"}}'
        for encoding in (TEXT, PROTOBUF):
            with pytest.raises(HistoryDecodeError):
                encoding.page([text]).rows()
        # The key is known, and the item of a record long or short.
        good = [("value", '"abc"'), ("last", "1")]
        bad = [("value", f'"{"a" * before}{special}{"b" * after}"'), ("last", "1")]
        for name in ("protobuf", "text"):
            builder = ColumnBuilder()
            with pytest.raises(HistoryDecodeError):
                builder.add_page(COLUMN_ENCODINGS[name]([good, good, good, bad, good]), 0)
            assert builder.row_count == 3
