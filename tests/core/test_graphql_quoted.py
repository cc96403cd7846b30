"""Rows read where they stand in a GraphQL body: wherever a vector ends, and whatever stands in one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan import HistoryDecodeError
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import HistoryPage
from tests.support.column_rows import build_table, check_table
from tests.support.encodings import history_body
from tests.support.json_corpus import fingerprint
from tests.support.json_strategies import json_values

# More than a step of the search for a string's end, which are 64 bytes.
OFFSETS = range(150)

AMONG_OTHERS: list[Any] = [[1.5, 2.25], {"x": [1]}, [], {}, "text", 'a "quoted" text', 12345, 0.12345678901]
DAMAGES = ['"a" 1', '"a": 1 "b": 2', '"a": 1,', '"a": x', '"a: 1', '"a": "x', '"a": 01', '"a": -', '"a": {"b": }']


def check_body(body: bytes, texts: list[str]) -> None:
    """Checks that a body gives what the texts are, as rows and as columns."""
    page = HistoryPage(body)
    expected = [json.loads(text) for text in texts]
    assert fingerprint(page.rows()) == fingerprint(expected)
    check_table(build_table([page]), expected)


def body_around(strings: list[bytes], between: bytes = b",") -> bytes:
    """A body with these strings, quotes and all, as its rows."""
    return b'{"data":{"project":{"run":{"history":[' + between.join(strings) + b"]}}}}"


def plain(text: str) -> bytes:
    """A row's text as a string that has no escapes but those of quotes."""
    return b'"' + text.encode().replace(b'"', b'\\"') + b'"'


@pytest.mark.parametrize("between", [b",", b" ,\n\t", b"," + b" " * 70 + b"\r\n"])
def test_strings_that_end_anywhere(between: bytes) -> None:
    texts = [json.dumps({"a": "x" * length, "b": length}) for length in OFFSETS]
    check_body(body_around(list(map(plain, texts)), between), texts)


def test_every_escape_anywhere() -> None:
    for spelling in ('"', "\\", "\\\\", '\\"', "\n", "\\n", "é", "\u2028", "\U0001f389"):
        texts = [json.dumps({"a": "x" * length + spelling}, ensure_ascii=False) for length in OFFSETS]
        check_body(history_body(texts), texts)
        check_body(history_body(texts, lambda text: json.dumps(text, ensure_ascii=False)), texts)


@pytest.mark.parametrize("control", [0x00, 0x09, 0x0A, 0x1F])
def test_control_characters_anywhere(control: int) -> None:
    good = '{"a": 1}'
    for offset in OFFSETS:
        string = bytearray(plain(json.dumps({"a": "x" * 140})))
        string[1 + offset : 1 + offset] = bytes([control])
        page = HistoryPage(body_around([plain(good), bytes(string)]))
        assert page.row(0) == {"a": 1}
        with pytest.raises(HistoryDecodeError, match=r"control character|escape"):
            page.row(1)


def test_bodies_that_end_anywhere() -> None:
    whole = body_around([plain(json.dumps({"a": "x" * length, "b": 1.5})) for length in (0, 60, 130)])
    for end in range(whole.index(b"[") + 1, len(whole)):
        page = HistoryPage(whole[:end])
        with pytest.raises(HistoryDecodeError):
            page.rows()
        builder = ColumnBuilder()
        with pytest.raises(HistoryDecodeError):
            builder.add_page(page)
        assert builder.row_count == len(page)


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), json_values, max_size=6), max_size=8), st.randoms())
def test_containers_amid_other_values(rows: list[dict[str, Any]], random: Any) -> None:
    for row in rows:
        for key in row:
            # Containers, strings and numbers follow each other in any order.
            if random.random() < 0.5:
                row[key] = random.choice(
                    [[1.5, 2.25], {"x": [1]}, [], {}, "text", 'a "quoted" text', 12345, 0.12345678901]
                )
    texts = [json.dumps(row) for row in rows]
    check_body(history_body(texts), texts)


def test_containers_that_nobody_asked_for() -> None:
    rows = [{"a": step, "b": [1, {"c": '"'}], "c": {"d": []}, "d": "text", "e": 1.25 * step} for step in range(5)]
    page = HistoryPage(history_body([json.dumps(row) for row in rows]))
    table = build_table([page], keys=["e", "a"])
    assert table.to_pylist() == [{"e": row["e"], "a": row["a"]} for row in rows]


@pytest.mark.parametrize("damage", DAMAGES)
def test_malformed_rows_where_they_stand(damage: str) -> None:
    good, bad = '{"a": 1, "b": 2.5}', "{" + damage + "}"
    for texts in ([good, bad], [good, good, bad, good]):
        page = HistoryPage(body_around(list(map(plain, texts))))
        builder = ColumnBuilder()
        with pytest.raises(HistoryDecodeError) as caught:
            builder.add_page(page)
        assert builder.row_count == texts.index(bad)
        with pytest.raises(HistoryDecodeError) as by_row:
            page.row(texts.index(bad))
        assert (caught.value.row, caught.value.byte) == (by_row.value.row, by_row.value.byte)


def test_member_given_twice() -> None:
    texts = [json.dumps({"a": text}) for text in ("x\n", "plain", "yyy\n")]
    members = b",".join(b'"history":' + json.dumps([text]).encode() for text in texts)
    check_body(b'{"data":{"project":{"run":{' + members + b"}}}}", texts[-1:])
