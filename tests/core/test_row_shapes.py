"""Rows whose keys come, go, repeat and change places: the core remembers keys and shapes, and none of that may show."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.formats import HistoryPage, SampledPage, TextPage
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from tests.support.column_rows import ENCODINGS, LOGS, Pairs, rows_of_pairs
from tests.support.encodings import history_body, sampled_body
from tests.support.json_corpus import fingerprint

# What stands before a key, between it and its colon, behind the colon, and behind the value.
COMPACT = ("", "", "", "")
PYTHON = ("", "", " ", "")
STYLES = (COMPACT, PYTHON, ("", " ", "", ""), ("\n  ", "", "\t", "\n"), (" ", "", "", " "))


def row_text(pairs: Pairs, style: tuple[str, str, str, str] = COMPACT) -> str:
    """Writes a row as a JSON object."""
    before, behind_key, behind_colon, behind = style
    members = (f"{before}{json.dumps(key)}{behind_key}:{behind_colon}{text}{behind}" for key, text in pairs)
    return "{" + ",".join(members) + "}"


MESSAGE_PAGES = {name: ENCODINGS[name] for name in ("protobuf", *LOGS)}

TEXT_PAGES: dict[str, Callable[[list[str]], Page]] = {
    "text": TextPage,
    "history": lambda texts: HistoryPage(history_body(texts)),
    "sampled": lambda texts: SampledPage(sampled_body(texts)),
}


def check_shapes(rows: Sequence[Pairs], styles: Sequence[tuple[str, str, str, str]] = (COMPACT,)) -> None:
    """Checks a sequence of rows in every encoding; the styles take turns."""
    expected = fingerprint(rows_of_pairs(rows))
    for encoding, make in MESSAGE_PAGES.items():
        assert fingerprint(make(rows).rows()) == fingerprint(rows_of_pairs(rows, encoding))
    texts = [row_text(pairs, styles[index % len(styles)]) for index, pairs in enumerate(rows)]
    assert fingerprint([json.loads(text) for text in texts]) == expected
    for make_of_texts in TEXT_PAGES.values():
        assert fingerprint(make_of_texts(texts).rows()) == expected


keys = st.sampled_from(["a", "a ", "ab", "b", "c", "", "é", 'q"', "_step", "x" * 16, "x" * 33, "k" * 5_000])
values = st.sampled_from(
    ["1", "-0.0", "NaN", "null", '"é"', '"\\n"', "[]", '{"a":1}', '{"b":{"a":2}}', "1e400", "9" * 30]
)


@st.composite
def changing_rows(draw: st.DrawFn) -> list[list[tuple[str, str]]]:
    """Rows of a few shapes, each kept up for a while and now and then left by a single row."""
    shapes = draw(st.lists(st.lists(keys, max_size=6), min_size=1, max_size=3))
    rows = []
    for _ in range(draw(st.integers(1, 25))):
        shape = list(draw(st.sampled_from(shapes)))
        change = draw(st.sampled_from(["none", "none", "none", "drop", "add", "swap", "repeat"]))
        if change == "add":
            shape.insert(draw(st.integers(0, len(shape))), draw(keys))
        elif shape and change == "drop":
            shape.pop(draw(st.integers(0, len(shape) - 1)))
        elif shape and change == "swap":
            shape.insert(draw(st.integers(0, len(shape) - 1)), shape.pop())
        elif shape and change == "repeat":
            shape.insert(draw(st.integers(0, len(shape))), draw(st.sampled_from(shape)))
        rows.append([(key, draw(values)) for key in shape])
    return rows


@given(changing_rows(), st.lists(st.sampled_from(STYLES), min_size=1, max_size=4))
@settings(max_examples=200)
def test_rows_of_changing_shapes(rows: list[list[tuple[str, str]]], styles: list[tuple[str, str, str, str]]) -> None:
    check_shapes(rows, styles)


def steady(shape: Sequence[str], count: int = 4) -> list[list[tuple[str, str]]]:
    """Rows that all have the same keys; enough of them for the core to expect more."""
    return [[(key, str(index)) for index, key in enumerate(shape)] for _ in range(count)]


@pytest.mark.parametrize(
    "exception",
    [
        [],
        ["a"],
        ["b"],
        ["a", "b"],
        ["a", "c", "b"],
        ["c", "b", "a"],
        ["a", "b", "c", "d"],
        ["d", "a", "b", "c"],
        ["a", "a", "b", "c"],
        ["a", "b", "c", "a"],
        ["a", "b", "c", "c"],
        ["a ", "b", "c"],
        ["A", "b", "c"],
        ["aa", "b", "c"],
        ["", "b", "c"],
        ["a", "b", "c", "c "],
    ],
    ids=",".join,
)
@pytest.mark.parametrize("times", [1, 3, 5])
def test_steady_rows_with_exceptions(exception: list[str], times: int) -> None:
    usual = ["a", "b", "c"]
    check_shapes(
        steady(usual) + steady(exception, times) + steady(usual) + steady(exception, 1) + steady(usual), STYLES
    )


@pytest.mark.parametrize("first", STYLES, ids=repr)
@pytest.mark.parametrize("second", STYLES, ids=repr)
def test_keys_written_in_another_style(first: tuple[str, str, str, str], second: tuple[str, str, str, str]) -> None:
    rows = steady(["a", "b"], 12)
    check_shapes(rows, [first] * 4 + [second])
    check_shapes(rows, [first] * 4 + [second] * 4)
    check_shapes(rows, [first, second])


def test_keys_that_begin_alike() -> None:
    shapes = (["a", "ab", "abc"], ["abc", "ab", "a"], ["a", "a:", 'a"', 'a":'], ["x" * size for size in range(1, 40)])
    for shape in shapes:
        for other in shapes:
            check_shapes(steady(shape) + steady(other) + steady(shape))


def test_more_keys_than_are_remembered() -> None:
    draw = random.Random(7)
    names = [f"metric/{index}" for index in range(20_000)]
    rows = [[(name, "1") for name in draw.sample(names, 50)] for _ in range(600)]
    # A steady shape of keys that came too late to be remembered.
    rows += steady(names[-20:], 6)
    rows += [[(name, "2") for name in names]]
    check_shapes(rows)


def test_a_wide_row_over_and_over() -> None:
    check_shapes(steady([f"layer{index}.weight" for index in range(9_000)], 4))


def test_keys_too_long_to_be_remembered() -> None:
    for length in (4_088, 4_090, 4_092, 4_093, 4_094, 4_096, 4_100, 100_000):
        check_shapes(steady(["k" * length, "a"], 5) + steady(["a", "k" * length], 2))


@pytest.mark.parametrize("seed", range(5))
def test_keys_in_random_order(seed: int) -> None:
    draw = random.Random(seed)
    names = [f"metric{index}" for index in range(23)]
    rows = steady(names, 2)
    for _ in range(40):
        draw.shuffle(names)
        rows += steady(names[: draw.choice([22, 23])], 1)
    check_shapes(rows, STYLES)


class Pages(RowScan):
    """Goes over pages that it is given."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.pages = pages
        super().__init__(0, len(pages))

    def _load_next(self) -> None:
        self._take_page(self.pages[self.page_offset])
        self.page_offset += 1


@pytest.mark.parametrize("kind", [*MESSAGE_PAGES, *TEXT_PAGES])
def test_shapes_are_remembered_across_pages(kind: str) -> None:
    parts = [
        steady(["a", "b"], 3),
        [],
        steady(["a", "b"], 2) + steady(["b", "a"], 2),
        steady(["c"], 5),
        steady(["a", "b"], 3),
    ]
    if kind in MESSAGE_PAGES:
        pages = [MESSAGE_PAGES[kind](rows) for rows in parts]
    else:
        pages = [TEXT_PAGES[kind]([row_text(pairs) for pairs in rows]) for rows in parts]
    expected = [row for rows in parts for row in rows_of_pairs(rows, kind)]
    for _ in range(2):
        assert fingerprint(list(Pages(pages))) == fingerprint(expected)


def test_pages_of_different_kinds_in_one_scan() -> None:
    rows = steady(["a", "b"], 4)
    pages = [make(rows) for make in MESSAGE_PAGES.values()]
    pages += [make([row_text(pairs) for pairs in rows]) for make in TEXT_PAGES.values()]
    expected = [rows_of_pairs(rows, encoding) for encoding in (*MESSAGE_PAGES, *TEXT_PAGES)]
    for order in (slice(None), slice(None, None, -1)):
        assert fingerprint(list(Pages(pages[order]))) == fingerprint([row for part in expected[order] for row in part])


def test_rows_do_not_share_what_they_hold() -> None:
    page = TextPage(['{"a":[1],"b":{"c":2}}'] * 5)
    rows = page.rows()
    for row in rows:
        row["a"].append(2)
        row["b"]["d"] = 3
        row["e"] = 4
    assert page.rows() == [{"a": [1], "b": {"c": 2}}] * 5
