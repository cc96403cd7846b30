"""Numbers that are all of a value's text, as in protobuf rows and logs: read at once where they have a point."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Iterable

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.formats import ProtobufPage
from histscan.errors import HistoryDecodeError
from tests.support import wire

# Longer than anything that is looked at before a number's end.
PADDING = ("padding", '"' + 40 * "7" + '"')


def decoded(texts: Iterable[str]) -> list[float]:
    """What rows make of the texts."""
    return [row["value"] for row in ProtobufPage(wire.page([[PADDING, ("value", text)] for text in texts])).rows()]


def built(texts: Iterable[str]) -> list[float]:
    """What a column makes of the texts."""
    builder = ColumnBuilder(["value"])
    builder.add_page(ProtobufPage(wire.page([[PADDING, ("value", text)] for text in texts])))
    chunk = builder.take_chunk()
    values: list[float] = pyarrow.table(ArrowStream(merge_columns([chunk]), [chunk])).column(0).to_pylist()
    return values


def bits(numbers: Iterable[float]) -> list[bytes]:
    """The numbers as bytes, which tell 0.0 from -0.0."""
    return [struct.pack("<d", number) for number in numbers]


def check(texts: list[str]) -> None:
    expected = bits(map(float, texts))
    assert bits(decoded(texts)) == expected
    assert bits(built([*texts, "0.5"])[:-1]) == expected


def test_every_count_of_digits() -> None:
    draw = random.Random(1)
    texts = [
        f"{sign}{'0' if whole == 0 else draw.randint(1, 9)}{''.join(draw.choices('0123456789', k=max(0, whole - 1)))}"
        f".{zeros * '0'}{''.join(draw.choices('0123456789', k=fraction))}{exponent}"
        for whole in range(20)
        for zeros in (0, 1, 3, 8, 15, 19, 22)
        for fraction in range(1, 28)
        for sign, exponent in (
            ("", ""),
            ("-", ""),
            ("", "e-07"),
            ("-", "e-99"),
            ("", "e+05"),
            ("", "E-10"),
            ("", "e-5"),
        )
    ]
    check(texts)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_doubles_as_python_writes_them(numbers: list[float]) -> None:
    check(list(map(repr, numbers)))


@given(st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,26}(e-[0-9]{2})?", fullmatch=True), min_size=1))
def test_decimals(texts: list[str]) -> None:
    check(texts)


def test_halfway_between_doubles() -> None:
    """Decimals that end exactly, or nearly, between two doubles."""
    draw = random.Random(2)
    texts = []
    for _ in range(3_000):
        # Between 2**-12 and 1 a halfway point has up to 66 decimals; with a large whole part fewer than 24.
        number = draw.randint(1, 2**28) + draw.getrandbits(25) / 2**25
        halfway = (number + math.nextafter(number, math.inf)) / 2
        texts += [repr(number), f"{number:.24f}", f"{halfway:.20f}", f"{halfway:.12f}"]
    check(texts)


NUMBERS = [
    "0.1234567890123456",
    "-123.4567890123456789",
    "1.2345678901234567e-05",
    "1790000000.8102171",
    "-12345678",
    "7",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_any_other_byte_amid_the_digits(text: str) -> None:
    """Wherever a byte is replaced: the number that json reads, or an error."""
    for place in range(len(text)):
        for byte in " +-./:aeE,_\x00\x7f0":
            changed = text[:place] + byte + text[place + 1 :]
            try:
                expected = json.loads(changed)
            except ValueError:
                with pytest.raises(HistoryDecodeError) as caught:
                    decoded([changed])
                assert caught.value.row == 0
                continue
            assert decoded([changed]) == [expected]
