"""The path that an error names leads to the place where the error is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.rows.locate import locate_item, locate_value
from tests.support import wire
from tests.support.json_strategies import json_values, spaces

MARK = "<here>"
"""Stands in a text where no value can; must not be made of what JSON is."""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("<here>", "$"),
        ("  <here>", "$"),
        ('{"a": <here>}', "$.a"),
        ('{"a": 1, "b": <here>}', "$.b"),
        ('{"a": 1, <here>}', "$"),
        ('{"a": 1 <here>}', "$.a"),
        ('{"a" <here>', "$.a"),
        ('{"a": {"b": 1}, "c": {"d": [1, [2, <here>]]}}', "$.c.d[1][1]"),
        ("[<here>]", "$[0]"),
        ("[[], {}, [<here>]]", "$[2][0]"),
        ('[{"a": "]}", "b": <here>}]', "$[0].b"),
        ('{"a\\"b": {"c": "\\\\"}, "d": <here>}', "$.d"),
        ('{"a.b": {"": {"c d": {"é": <here>}}}}', "$['a.b']['']['c d']['é']"),
        ('{"\\u0061": {"q\\"": {"\\\\": <here>}}}', "$.a['q\"']['\\\\']"),
        ('{"_step": {"x1": {"1x": <here>}}}', "$._step.x1['1x']"),
        ('{"a": 1}<here>', "$"),
        ("[1, 2]]<here>", "$"),
        ('{"a": "unterminated <here>', "$.a"),
    ],
)
def test_places_in_text(text: str, path: str) -> None:
    assert locate_value(text.encode(), text.encode().index(MARK.encode())) == path


def test_places_without_a_byte() -> None:
    assert locate_value(b'{"a": 1}', None) == "$"
    assert locate_item(wire.field(1, wire.item("a", "1")), None) == "$"


def put_mark(value: Any, choose: st.DataObject) -> tuple[Any, str]:
    """Puts the mark in place of something within a value, and gives the path there; names are plain."""
    if isinstance(value, dict) and value and choose.draw(st.booleans()):
        key = choose.draw(st.sampled_from(list(value)))
        inner, path = put_mark(value[key], choose)
        return {**value, key: inner}, f".{key}{path}"
    if isinstance(value, list) and value and choose.draw(st.booleans()):
        index = choose.draw(st.integers(0, len(value) - 1))
        inner, path = put_mark(value[index], choose)
        return [*value[:index], inner, *value[index + 1 :]], f"[{index}]{path}"
    return MARK, ""


plain_values = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5), st.sampled_from(["{", "]", '"', "\\", ",", ":"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,3}\Z"), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(plain_values, st.sampled_from([None, 1]), st.booleans(), st.data())
@settings(max_examples=300)
def test_places_in_any_value(value: Any, indent: int | None, ensure_ascii: bool, data: st.DataObject) -> None:
    marked, path = put_mark(value, data)
    text = json.dumps(marked, indent=indent, ensure_ascii=ensure_ascii).replace(f'"{MARK}"', MARK).encode()
    # Where a text of the value is the mark's own is of no interest.
    if text.count(MARK.encode()) == 1:
        assert locate_value(text, text.index(MARK.encode())) == f"${path}"


@given(st.binary(max_size=60), st.integers(-1, 70))
@settings(max_examples=300)
def test_any_bytes_have_a_place(noise: bytes, byte: int) -> None:
    for path in (locate_value(noise, byte), locate_item(noise, byte), locate_item(wire.field(1, noise), byte)):
        assert path.startswith("$")


@given(json_values, spaces, st.integers(0, 400))
@settings(max_examples=200)
def test_sound_text_has_places_too(value: Any, space: str, byte: int) -> None:
    assert locate_value((space + json.dumps(value)).encode(), byte).startswith("$")


ITEMS = [
    wire.item("loss", "1"),
    wire.item("a.b", '{"c": [0, 1]}'),
    wire.item(["val", "acc", "top 1"], "[7]"),
    wire.field(16, "7") + wire.field(1, "behind"),
    wire.varint_field(5, 1) + wire.item("late", '{"x": 2}'),
]
ROW = b"".join(wire.field(1, item) for item in ITEMS) + wire.field(2, wire.varint_field(1, 7))


@pytest.mark.parametrize(
    ("content", "shift", "path"),
    [
        (b"1", 0, "$.loss"),
        (b'{"c"', 0, "$['a.b']"),
        (b"[0, 1]", 4, "$['a.b'].c[1]"),
        (b"[7]", 1, "$.val.acc['top 1'][0]"),
        (b"behind", 0, "$.behind"),
        (b'{"x"', 6, "$.late.x"),
    ],
    ids=repr,
)
def test_places_in_rows_of_items(content: bytes, shift: int, path: str) -> None:
    assert locate_item(ROW, ROW.index(content) + shift) == path


def test_places_in_rows_cut_short() -> None:
    for length in range(len(ROW)):
        assert locate_item(ROW[:length], length).startswith("$")
        assert locate_item(ROW, length).startswith("$")
