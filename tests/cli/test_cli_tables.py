"""Numbers, cells and tables as the command prints them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histscan.cli.cells import cell
from histscan.cli.figures import file_size, plural, short_number
from histscan.cli.head import table
from histscan.cli.table import clip, fitting_columns, render, text_width


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (4999, "4999"),
        (-123456789012, "-123456789012"),
        (10**15, "1e+15"),
        pytest.param(10**5000, "huge", id="huge"),
        pytest.param(-(10**5000), "-huge", id="-huge"),
        (0.31253218, "0.31253"),
        (1e-7, "1e-07"),
        (1234567.0, "1.2346e+06"),
        (-0.0, "-0"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_short_number(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (5_262_103, "5.3 MB"),
        (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"),
        (2_500_000_000_000, "2.5 TB"),
        (10**18, "1,000,000.0 TB"),
    ],
)
def test_file_size(size: int, text: str) -> None:
    assert file_size(size) == text


def test_plural() -> None:
    assert [plural(number, "row") for number in (0, 1, 5000)] == ["0 rows", "1 row", "5,000 rows"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        ("best so far", "best so far"),
        ("two\nlines\x1b[31m", r"two\nlines\x1b[31m"),
        ([1, None, math.nan], "[1,null,NaN]"),
        ([], "[]"),
        ({}, "{}"),
        ({"_type": "histogram", "values": [1, 2]}, "(histogram)"),
        ("x" * 1_000_000, "x" * 29 + "…"),
        (list(range(1_000_000)), "[0,1,2,3,4,5,6,7,8,9,10,11,12…"),
        ("深" * 20, "深" * 14 + "…"),
    ],
)
def test_cell(value: Any, text: str) -> None:
    assert cell(value, 30) == text


@given(st.text(st.characters(exclude_categories=[])), st.integers(1, 40))
def test_clipped_text_fits_and_cannot_control_the_terminal(text: str, width: int) -> None:
    line = clip(text, width)
    assert text_width(line) <= width
    line.encode("utf-8")
    assert not any(char < " " or char in "\x7f\x85\x9b\u2028\u2029\u202e" for char in line)
    if text.isalnum() and len(text) * 2 <= width:
        assert line == text


def test_columns_are_aligned_by_display_width() -> None:
    rows = [["key", "count"], ["時代", "5"], ["e\N{COMBINING ACUTE ACCENT}", "12345"]]
    lines = render(rows, [False, True])
    assert lines == ["key   count", "時代      5", "e\N{COMBINING ACUTE ACCENT}     12345"]
    assert {text_width(line) for line in lines} == {11}


@pytest.mark.parametrize(("width", "columns"), [(None, 3), (100, 3), (16, 3), (15, 2), (9, 2), (8, 1), (2, 1)])
def test_fitting_columns(width: int | None, columns: int) -> None:
    assert fitting_columns([3, 4, 5], width) == columns


ROWS: list[dict[Any, Any]] = [
    {"_step": 0, "loss": 0.5, ("validation", "loss"): math.nan, "phase": "warm-up"},
    {"_step": 1, "loss": 12, "phase": "decay"},
]


def test_table_of_rows() -> None:
    assert table(ROWS, [], None).splitlines() == [
        "_step  loss  phase    validation.loss",
        "    0   0.5  warm-up              NaN",
        "    1    12  decay",
    ]


def test_table_lists_the_columns_that_do_not_fit() -> None:
    lines = table(ROWS, [], 30).splitlines()
    assert lines[:3] == ["_step  loss  phase", "    0   0.5  warm-up", "    1    12  decay"]
    assert " ".join(lines[3:]).split() == ["1", "more", "(select", "with", "-k", "KEY):", "validation.loss"]
    assert max(map(len, lines)) <= 30


def test_table_starts_with_the_selected_columns() -> None:
    assert table(ROWS, ["phase", "loss"], None).splitlines()[0].split() == ["_step", "phase", "loss", "validation.loss"]


def test_table_without_rows() -> None:
    assert table([], ["loss"], 80) == "no rows"
