"""ProtobufPage reads the wire as google.protobuf reads it into wandb's own classes, and its rows are wandb's."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.apis.public.history import BetaHistoryScan
from wandb.proto import wandb_api_pb2

from histscan._core.pages.formats import ProtobufPage
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.json_corpus import fingerprint
from tests.support.json_strategies import json_values, value_texts

ROWS: list[dict[str, Any]] = [
    {"_step": 0, "loss": 0.5, "text": "é"},
    {"_step": 1, "loss": None, "text": "x"},
    {"_step": 2, "loss": float("nan"), "text": ""},
    {},
    {"_step": 3, "nested": {"a": [1, {"b": "c"}]}},
]
PAGE = wire.page([[(key, json.dumps(value)) for key, value in row.items()] for row in ROWS])


def rows_by_wandb(data: bytes) -> list[Any]:
    """The rows as wandb's class has them; DecodeError where protobuf refuses, ValueError where json does."""
    response = wandb_api_pb2.RunHistoryResponse.FromString(data)
    return [BetaHistoryScan._convert_history_row_to_dict(row) for row in response.history_rows]


def is_accepted_by_wandb(data: bytes) -> bool:
    try:
        rows_by_wandb(data)
    except (DecodeError, ValueError, RecursionError):
        return False
    return True


def check_page(data: bytes) -> bool:
    """Compares a page with wandb's; says whether both took it."""
    if is_accepted_by_wandb(data):
        assert fingerprint(ProtobufPage(data).rows()) == fingerprint(rows_by_wandb(data)), data
        return True
    page = ProtobufPage(data)
    with pytest.raises(HistoryDecodeError) as caught:
        page.rows()
    assert caught.value.row is not None
    assert caught.value.byte is not None
    assert 0 <= caught.value.byte <= len(data)
    return False


def test_the_oracle_is_the_c_implementation() -> None:
    assert api_implementation.Type() == "upb"
    assert rows_by_wandb(PAGE)[:2] == ROWS[:2]


@given(st.lists(st.lists(st.tuples(st.text(max_size=8), value_texts), max_size=3), max_size=4))
@settings(max_examples=60)
def test_pages_of_wandbs_classes(rows: list[list[tuple[str, str]]]) -> None:
    response = wandb_api_pb2.RunHistoryResponse(
        history_rows=[
            wandb_api_pb2.HistoryRow(
                history_items=[wandb_api_pb2.ParquetHistoryItem(key=key, value_json=text) for key, text in row]
            )
            for row in rows
        ]
    )
    # wandb leaves an empty key out; written by hand it is there.
    for data in (response.SerializeToString(), wire.page(rows)):
        assert len(ProtobufPage(data)) == len(rows)
        check_page(data)


@given(st.dictionaries(st.text(max_size=30), json_values, max_size=8))
@settings(max_examples=100)
def test_values_dumped_by_python(row: dict[str, Any]) -> None:
    items = [(key, json.dumps(value)) for key, value in row.items()]
    data = wire.page([items] * 3)
    assert fingerprint(ProtobufPage(data).rows()) == fingerprint([json.loads(json.dumps(row))] * 3)
    assert check_page(data)


UNKNOWN_FIELDS = {
    "varint": wire.varint_field(7, 300),
    "varint of ten bytes": wire.varint_field(7, -1),
    "varint beyond 64 bits": wire.tag(7, wire.VARINT) + b"\xff" * 9 + b"\x7f",
    "varint made long": wire.tag(7, wire.VARINT) + wire.varint(1, length=10),
    "fixed64": wire.fixed64_field(2, 1.5),
    "fixed32": wire.fixed32_field(3, 7),
    "bytes": wire.field(4, b"\xff\x00\x08"),
    "empty bytes": wire.field(15, b""),
    "group": wire.group(5, wire.varint_field(1, 1) + wire.field(1, b"\xff") + wire.group(1)),
    "large number": wire.field(2**29 - 1, b"x"),
    "field 1 as varint": wire.varint_field(1, 5),
    "field 1 as fixed64": wire.fixed64_field(1, 5.0),
    "field 1 as fixed32": wire.fixed32_field(1, 5),
    "field 1 as group": wire.group(1, wire.field(1, "x")),
    "field 16 as varint": wire.varint_field(16, 5),
    "field 16 as group": wire.group(16),
    "tag made long": wire.varint(7 << 3 | wire.VARINT, length=5) + b"\x01",
}


@pytest.mark.parametrize("name", UNKNOWN_FIELDS)
def test_unknown_fields_are_skipped_everywhere(name: str) -> None:
    junk = UNKNOWN_FIELDS[name]
    key, value = wire.field(1, "loss"), wire.field(16, "1.5")
    items = [junk + key + value, key + junk + value, key + value + junk, junk + value + junk + key + junk]
    # "field 16 as …" is skipped in rows and pages as well, where there is no field 16 at all.
    row = junk + b"".join(wire.field(1, item) + junk for item in items)
    usual = wire.field(1, wire.field(1, key + value))
    for data in (
        wire.field(1, row),
        junk + (wire.field(1, row) + junk) * 3,
        usual * 3 + wire.field(1, row) + usual * 3,
    ):
        assert check_page(data)
        assert all(fields == {"loss": 1.5} for fields in ProtobufPage(data).rows())


@pytest.mark.parametrize(
    "item",
    {
        "value first": wire.field(16, "1") + wire.field(1, "a"),
        "key twice": wire.field(1, "x") + wire.field(1, "a") + wire.field(16, "1"),
        "key empty, then not": wire.field(1, "") + wire.field(1, "a") + wire.field(16, "1"),
        "key behind": wire.field(1, "x") + wire.field(16, "1") + wire.field(1, "a"),
        "value twice": wire.field(1, "a") + wire.field(16, "nonsense") + wire.field(16, "1"),
        "no key": wire.field(16, "1"),
        "empty key": wire.field(1, "") + wire.field(16, "1"),
        "key with a NUL": wire.field(1, "a\x00b") + wire.field(16, "1"),
        "length made long": wire.tag(1, 2) + wire.varint(1, length=5) + b"a" + wire.field(16, "1"),
        "value's length made long": wire.field(1, "a") + wire.tag(16, 2) + wire.varint(1, length=5) + b"1",
        "value's tag made long": wire.field(1, "a") + wire.varint(16 << 3 | 2, length=3) + wire.varint(1) + b"1",
    }.items(),
    ids=lambda item: item[0],
)
def test_odd_items(item: tuple[str, bytes]) -> None:
    odd = wire.field(1, wire.field(1, item[1]))
    mixed = wire.field(
        1, wire.field(1, wire.item("a", "2")) + wire.field(1, item[1]) + wire.field(1, wire.item("b", "3"))
    )
    usual = wire.field(1, wire.field(1, wire.item("a", "1")))
    for data in (odd, odd * 4, usual * 3 + odd + usual, mixed * 4, usual * 3 + mixed + odd):
        assert check_page(data)


@pytest.mark.parametrize(
    "item",
    {
        "no value": wire.field(1, "a"),
        "empty value": wire.field(1, "a") + wire.field(16, ""),
        "nothing": b"",
        "value of blanks": wire.field(1, "a") + wire.field(16, "  "),
        "value last empty": wire.field(1, "a") + wire.field(16, "1") + wire.field(16, ""),
        "value as varint": wire.field(1, "a") + wire.varint_field(16, 1),
        "key not UTF-8": wire.field(1, b"\xff") + wire.field(16, "1"),
        "overridden key not UTF-8": wire.field(1, b"\xff") + wire.field(1, "a") + wire.field(16, "1"),
        "value not UTF-8": wire.field(1, "a") + wire.field(16, b'"\xff"'),
        "overridden value not UTF-8": wire.field(1, "a") + wire.field(16, b'"\xff"') + wire.field(16, "1"),
        "surrogate in the key": wire.field(1, b"\xed\xa0\x80") + wire.field(16, "1"),
        "end of a group": wire.field(1, "a") + wire.field(16, "1") + wire.tag(5, wire.GROUP_END),
        "group left open": wire.field(1, "a") + wire.field(16, "1") + wire.tag(5, wire.GROUP_START),
        "group closed by another": wire.field(1, "a") + wire.tag(5, wire.GROUP_START) + wire.tag(6, wire.GROUP_END),
        "wire type 6": wire.field(1, "a") + wire.field(16, "1") + wire.tag(5, 6),
        "wire type 7": wire.field(1, "a") + wire.field(16, "1") + wire.tag(5, 7),
        "field 0": wire.field(1, "a") + wire.field(16, "1") + wire.tag(0, 2) + b"\x00",
        "tag of six bytes": wire.varint(1 << 3 | 2, length=6) + b"\x01a" + wire.field(16, "1"),
        "tag beyond 32 bits": wire.varint(1 << 35 | 1 << 3 | 2) + b"\x01a" + wire.field(16, "1"),
        "length of eleven bytes": wire.tag(1, 2) + wire.varint(1, length=11) + b"a" + wire.field(16, "1"),
        "length beyond the item": wire.tag(1, 2) + wire.varint(100) + b"a" + wire.field(16, "1"),
        "negative length": wire.tag(1, 2) + wire.varint(-1) + b"a" + wire.field(16, "1"),
        "length of 2**31": wire.tag(1, 2) + wire.varint(2**31) + b"a",
        "length of 2**32 + 1": wire.tag(1, 2) + wire.varint(2**32 + 1) + b"a" + wire.field(16, "1"),
        "varint of eleven bytes": wire.item("a", "1") + wire.tag(7, 0) + wire.varint(1, length=11),
        "fixed64 cut short": wire.item("a", "1") + wire.tag(7, 1) + b"1234567",
        "fixed32 cut short": wire.item("a", "1") + wire.tag(7, 5) + b"123",
    }.items(),
    ids=lambda item: item[0],
)
def test_malformed_items(item: tuple[str, bytes]) -> None:
    usual = wire.field(1, wire.field(1, wire.item("a", "1")))
    broken = wire.field(1, wire.field(1, wire.item("a", "1")) + wire.field(1, item[1]))
    for before in (0, 1, 4):
        assert not check_page(usual * before + broken + usual)
        page = ProtobufPage(usual * before + broken + usual)
        for index in range(before):
            assert page.row(index) == {"a": 1}
        with pytest.raises(HistoryDecodeError) as caught:
            page.row(before)
        assert caught.value.row == before
        # The rows behind are as good as they ever were.
        assert page.row(before + 1) == {"a": 1}


FIELD_0 = {
    "varint": wire.varint_field(0, 1),
    "fixed64": wire.fixed64_field(0, 1.0),
    "fixed32": wire.fixed32_field(0, 1),
    "bytes": wire.field(0, "x"),
    "group": wire.group(0, wire.varint_field(0, 0)),
    "end": wire.tag(0, wire.GROUP_END),
    "no wire type": wire.tag(0, 6),
}


@pytest.mark.parametrize("name", FIELD_0)
def test_field_0_is_minded_outside_of_groups_alone(name: str) -> None:
    usual, field = wire.page([[("a", "1")]]), FIELD_0[name]
    assert not check_page(usual + field)
    assert not check_page(wire.field(1, wire.field(1, wire.item("a", "1")) + field))
    for number in (1, 2, 16):
        group = wire.group(number, wire.varint_field(3, 1) + field)
        assert check_page(usual + group) == (name not in ("end", "no wire type"))
        check_page(wire.field(1, wire.field(1, group + wire.item("a", "1"))))
        check_page(wire.field(1, group + wire.field(1, wire.item("a", "1"))))


@pytest.mark.parametrize("depth", [1, 50, 90, 95, 96, 97, 98, 99, 100, 101, 102, 200, 10_000])
def test_groups_as_deep_as_protobuf_goes(depth: int) -> None:
    """Unbalanced groups never pass. How deep balanced ones may be is counted from the message they are in."""
    groups = wire.tag(5, wire.GROUP_START) * depth + wire.tag(5, wire.GROUP_END) * depth
    usual = wire.field(1, wire.field(1, wire.item("a", "1")))
    assert check_page(usual + groups) == (depth <= 100)
    for broken in (groups[:-1], groups[1:], groups[: len(groups) // 2]):
        assert not check_page(usual + broken)
    # Within a row and an item upb has used up one and two levels; ours counts anew in each message, so it takes a few
    # pages that upb does not, but none the other way round.
    within = wire.field(1, groups + wire.field(1, groups + wire.item("a", "1")))
    if is_accepted_by_wandb(within):
        assert check_page(within)


def test_truncation_at_every_byte() -> None:
    ends = [0]
    for row in ROWS:
        ends.append(ends[-1] + len(wire.page([[(key, json.dumps(value)) for key, value in row.items()]])))
    assert ends[-1] == len(PAGE)
    for length in range(len(PAGE) + 1):
        data = PAGE[:length]
        whole = sum(end <= length for end in ends[1:])
        page = ProtobufPage(data)
        assert fingerprint([page.row(index) for index in range(whole)]) == fingerprint(ROWS[:whole])
        assert check_page(data) == (length in ends)
        if length not in ends:
            with pytest.raises(HistoryDecodeError) as caught:
                page.row(whole)
            assert caught.value.row == whole
            assert caught.value.byte is not None
            assert ends[whole] <= caught.value.byte <= length


@pytest.mark.parametrize("change", [0x01, 0x02, 0x07, 0x08, 0x80, 0xFF])
def test_every_byte_changed(change: int) -> None:
    for position in range(len(PAGE)):
        check_page(PAGE[:position] + bytes([PAGE[position] ^ change]) + PAGE[position + 1 :])


wire_numbers = st.sampled_from([1, 1, 1, 2, 15, 16, 16, 17, 2**29 - 1])
varints = st.builds(
    lambda value, length: wire.varint(value, length=length),
    st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1), st.just(2**31), st.just(2**63)),
    st.sampled_from([0, 0, 0, 2, 5, 6, 10, 11]),
)
payloads = st.one_of(
    st.sampled_from([b"", b"a", b"1", b"null", b'"\xc3\xa9"', b"[NaN]", b"{}"]), st.binary(max_size=12)
)


@st.composite
def fields_of(draw: st.DrawFn, inner: st.SearchStrategy[bytes]) -> bytes:
    """Fields of any wire type, most of them length-delimited."""
    parts = []
    for _ in range(draw(st.integers(0, 5))):
        number = draw(wire_numbers)
        kind = draw(
            st.sampled_from(["field", "field", "field", "varint", "fixed64", "fixed32", "group", "tag", "length"])
        )
        if kind == "field":
            parts.append(wire.field(number, draw(inner)))
        elif kind == "varint":
            parts.append(wire.tag(number, wire.VARINT) + draw(varints))
        elif kind == "fixed64":
            parts.append(wire.tag(number, wire.FIXED64) + draw(st.binary(min_size=8, max_size=8)))
        elif kind == "fixed32":
            parts.append(wire.tag(number, wire.FIXED32) + draw(st.binary(min_size=4, max_size=4)))
        elif kind == "group":
            parts.append(wire.group(number, draw(st.one_of(st.just(b""), inner))))
        elif kind == "tag":
            parts.append(wire.varint(number << 3 | draw(st.integers(0, 7)), length=draw(st.integers(0, 11))))
        else:
            parts.append(wire.tag(number, wire.LENGTH_DELIMITED) + draw(varints) + draw(st.binary(max_size=4)))
    return b"".join(parts)


good_items = st.builds(wire.item, st.sampled_from(["a", "b", ""]), st.sampled_from(["1", "NaN", '"é"', "[1]"]))
some_items = st.one_of(good_items, fields_of(payloads))
some_rows = st.one_of(
    st.lists(good_items, max_size=4).map(lambda items: b"".join(wire.field(1, item) for item in items)),
    fields_of(some_items),
)
some_pages = st.one_of(
    st.lists(some_rows, max_size=6).map(lambda rows: b"".join(wire.field(1, row) for row in rows)),
    fields_of(some_rows),
)


@given(some_pages)
@settings(max_examples=400)
def test_fields_of_any_kind(data: bytes) -> None:
    check_page(data)


@given(some_pages, st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=400)
def test_changed_bytes(data: bytes, changes: list[tuple[float, int]]) -> None:
    changed = bytearray(data)
    for where, byte in changes:
        if changed:
            changed[int(where * len(changed))] = byte
    check_page(bytes(changed))


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_noise(data: bytes) -> None:
    check_page(data)


def test_wrong_arguments() -> None:
    for wrong in (None, "", bytearray(PAGE), memoryview(bytearray(PAGE)), 5):
        with pytest.raises(TypeError):
            ProtobufPage(wrong)  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        ProtobufPage(memoryview(PAGE)[::2])
    assert ProtobufPage(b"").rows() == []
    assert len(ProtobufPage(b"")) == 0


def test_views_of_bytes() -> None:
    around = b"\xff" * 40
    page = ProtobufPage(memoryview(around + PAGE + around)[40:-40])
    # repr() because NaN is not equal to itself.
    expected = repr(ProtobufPage(PAGE).rows())
    assert repr(page.rows()) == expected
    del around
    gc.collect()
    assert repr(page.rows()) == expected
