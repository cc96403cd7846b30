"""Pages of JSON Lines: where their rows are, and where they end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan import HistoryDecodeError
from histscan._core.pages.lines_page import LinesPage
from tests.support.column_rows import build_table

ROW = b'{"a":1,"b":"\xc3\xa9"}'
BLANK = [b"", b" ", b"\t\r", b"\r"]
ODD = [b"x", b"[{}]", b"null", b" 1", b"\x0b", b"\x00{}", b"\xef\xbb\xbf{}"]
ROWS = [ROW, b" \t" + ROW + b"\r", b"{}", b'{"c":[1,{"d":"\\n"}]}', b"{"]


@given(st.lists(st.sampled_from([*ROWS, *BLANK, *ODD]), min_size=1, max_size=12))
def test_lines_are_rows_or_blank_or_end_a_page(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    seen = []
    stop = 0
    while stop <= len(data):
        page = LinesPage(data, stop)
        seen += [b""] * page.blank_count + [page.text(place) for place in range(len(page))]
        if page.blank_count == len(page) == 0:
            # A line that is neither; it is left out here.
            assert page.stop == stop
            end = data.find(b"\n", stop)
            seen.append(data[stop:] if end < 0 else data[stop:end])
            assert seen[-1] in ODD
            stop = len(data) + 1 if end < 0 else end + 1
            continue
        stop = page.stop
    assert seen == [b"" if line in BLANK else line for line in lines]


def test_rows_and_columns() -> None:
    lines = [b'{"a":%d,"b":"%s"}' % (number, b"x" * (number % 100)) for number in range(500)]
    page = LinesPage(b"\n".join(lines))
    expected = [json.loads(line) for line in lines]
    assert len(page) == 500
    assert page.rows() == expected
    assert page.row(499) == expected[499]
    assert build_table([page]).to_pylist() == expected


def test_errors_name_the_row_and_its_byte() -> None:
    page = LinesPage(b'\n\n{"a":1}\n{"a":x}\n{"a":3}')
    assert page.blank_count == 2
    with pytest.raises(HistoryDecodeError) as failure:
        page.rows()
    assert (failure.value.row, failure.value.byte, failure.value.path) == (1, 5, "$.a")
    assert page.row(2) == {"a": 3}
    for index in (-1, 3):
        with pytest.raises(IndexError):
            page.text(index)


@pytest.mark.parametrize("begin", [-5, 0, 3, 7, 8, 20, 2**62])
def test_any_beginning(begin: int) -> None:
    page = LinesPage(b'{"a":1}\n{"b":2}', begin)
    assert page.rows() == ([{"a": 1}, {"b": 2}] if begin <= 0 else [{"b": 2}] if begin in (7, 8) else [])
