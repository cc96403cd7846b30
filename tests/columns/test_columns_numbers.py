"""Plain numbers in rows that repeat, where vectors read them: the doubles and integers that Python makes of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan._core.pages.formats import HistoryPage, ProtobufPage, TextPage
from histscan._core.pages.page import Page
from tests.support import wire
from tests.support.column_rows import build_table
from tests.support.encodings import history_body

HARD = [
    "0.0",
    "-0.0",
    "0.000000000000000000000",
    "1.0",
    "-1.5",
    "9007199254740993.0",
    "9007199254740991.5",
    "9007199254740992.5",
    "9007199254740993.5",
    "4503599627370497.5",
    "0.5",
    "0.3",
    "0.1",
    "1.7976931348623157",
    "2.2250738585072014",
    "123456789012345678.0",
    "1234567890123456789.5",
    "12345678901234567890.5",
    "99999999999999999999.9",
    "0.00000000000000000001",
    "0.000000000000000000000000000001",
    "8.5e-05",
    "8.5e-00",
    "8.5e-99",
    "-1.2345678901234567e-07",
    "12345.678901234567890123e-19",
    "1e-05",
    "5e-99",
    "1.5e-100",
    "1.5e-300",
    "4.9e-324",
    "1.5e+05",
    "1.5E-05",
    "7.450580596923828125e-09",
    "0.0e-10",
    "1790000000.123456",
    "1.7956976834968193e+09",
    "-1.5e+00",
    "1.5e+01",
    "1.25e+01",
    "1.25e+02",
    "0.0e+10",
    "123.456e+02",
    "1.5e+1",
    "1e+09",
    "1.234567890123456e+15",
    "1.2345678901234567e+15",
    "9.007199254740993e+15",
    "9.0071992547409925e+15",
    "9.0071992547409935e+15",
    "4.5035996273704975e+15",
    "1.2345678901234567e+99",
    "31622.776601683792",
]
"""Decimal numbers at the edges: of rounding, of the digits that a vector or 64 bits hold, and of what is plain."""


def digits(generator: random.Random, count: int) -> str:
    return "".join(generator.choice("0123456789") for _ in range(count))


def decimals_of_all_lengths() -> list[str]:
    """Numbers with every count of digits before and behind the point that fits a vector, and some that don't."""
    generator = random.Random(7)
    texts = []
    for whole in range(1, 24):
        for fraction in range(1, 34 - whole):
            leading = (
                "0" if whole == 1 and fraction % 2 else generator.choice("123456789") + digits(generator, whole - 1)
            )
            sign = generator.choice(["", "-"])
            texts.append(f"{sign}{leading}.{digits(generator, fraction)}")
            texts.append(f"{sign}0.{'0' * (whole - 1)}{digits(generator, fraction)}")
    return texts


def integers_of_all_lengths() -> list[str]:
    generator = random.Random(11)
    texts = [str(sign * (10**power + nudge)) for power in range(18) for nudge in (-1, 0, 1) for sign in (1, -1)]
    texts += [generator.choice("123456789") + digits(generator, count) for count in range(18)]
    return [*texts, "-0", "0", "9223372036854775807", "-9223372036854775808"]


def protobuf_page(rows: Sequence[Sequence[tuple[str, str]]]) -> Page:
    return ProtobufPage(wire.page(rows))


def row_texts(rows: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
    return ["{" + ",".join(f'"{key}":{text}' for key, text in row) + "}" for row in rows]


MAKERS: dict[str, Callable[[Sequence[Sequence[tuple[str, str]]]], Page]] = {
    "protobuf": protobuf_page,
    "graphql": lambda rows: HistoryPage(history_body(row_texts(rows))),
    "texts": lambda rows: TextPage(row_texts(rows)),
}


def check_decimals(encoding: str, texts: Sequence[str]) -> None:
    """Checks a column of decimal numbers bit by bit; others stand around them, so that they are read in vectors."""
    rows = [[("_runtime", "0.5"), ("_step", str(step)), ("x", text)] for step, text in enumerate(texts)]
    for keys in (None, ["x"]):
        column = build_table([MAKERS[encoding](rows)], keys).column("x").to_pylist()
        assert [struct.pack("<d", number) for number in column] == [struct.pack("<d", float(text)) for text in texts]
    # The same numbers, when they are not requested.
    assert build_table([MAKERS[encoding](rows)], ["_step"]).column("_step").to_pylist() == list(range(len(texts)))


@pytest.mark.parametrize("encoding", MAKERS)
def test_decimals(encoding: str) -> None:
    check_decimals(encoding, HARD)
    check_decimals(encoding, decimals_of_all_lengths())


@pytest.mark.parametrize("encoding", MAKERS)
def test_decimals_at_the_end_and_at_the_beginning_of_rows(encoding: str) -> None:
    for text in (*HARD, *decimals_of_all_lengths()[::7]):
        rows = [[("a", text), ("b", text)] for _ in range(4)]
        table = build_table([MAKERS[encoding](rows)])
        for name in "ab":
            assert [repr(number) for number in table.column(name).to_pylist()] == [repr(float(text))] * 4


@pytest.mark.parametrize("encoding", MAKERS)
def test_integers(encoding: str) -> None:
    texts = integers_of_all_lengths()
    rows = [[("_runtime", "0.5"), ("_step", str(step)), ("x", text)] for step, text in enumerate(texts)]
    column = build_table([MAKERS[encoding](rows)]).column("x").to_pylist()
    assert column == [int(text) for text in texts]
    assert all(type(number) is int for number in column)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3), st.sampled_from(sorted(MAKERS)))
def test_any_double(numbers: list[float], encoding: str) -> None:
    check_decimals(encoding, [repr(number) for number in numbers])


@given(
    st.lists(st.from_regex(r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,24}(e[-+][0-9]{2})?", fullmatch=True), min_size=3),
    st.sampled_from(sorted(MAKERS)),
)
def test_any_plain_decimal(texts: list[str], encoding: str) -> None:
    check_decimals(encoding, texts)
