"""Rows that bring the keys of the row before in the same order, and rows where that ends: what columns make of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.page import Page
from histscan.errors import HistoryDecodeError
from tests.support import wire
from tests.support.column_rows import (
    ENCODINGS,
    Pairs,
    build_table,
    check_table,
    check_values,
    in_parts,
    rows_of,
    rows_of_pairs,
    windows_of,
)
from tests.support.encodings import history_body, sampled_body
from tests.support.json_corpus import fingerprint

LENGTHS = [*range(1, 45), 100, 119, 120, 121, 126, 127, 128, 129, 130, 200, 300]
"""Of keys: those at which an item's head fills one vector, two, or more, or its length takes two bytes."""

NUMBERS = ["0", "7", "-7", "0.5", "12345678", "123456789", "1790000000.123456", "0.12345678901234567", "1e-05"]
VALUES = [*NUMBERS, "null", "true", '"text"', '"NaN"', "NaN", "[1,2]", '{"a":1}', "18446744073709551615", " 3 "]


def repeated(keys: Sequence[str], texts: Sequence[str], count: int) -> list[Pairs]:
    """Rows of the same keys, whose values change from row to row."""
    turns = itertools.cycle(texts)
    return [[(key, next(turns)) for key in keys] for _ in range(count)]


def check_protobuf(rows: Sequence[Pairs], keys: Sequence[str] | None = None) -> None:
    """Checks the columns of rows in pages of several sizes."""
    expected = rows_of_pairs(rows)
    if keys is not None:
        expected = [{key: row[key] for key in keys if key in row} for row in expected]
    for size in (1, 3, len(rows) or 1):
        pages = [ProtobufPage(wire.page(part)) for part in in_parts(rows, size)]
        check_values(build_table(pages, keys), expected)


@pytest.mark.parametrize("encoding", ["protobuf", "graphql", "texts"])
def test_rows_that_repeat_go_on_behind_one_that_brings_columns_and_takes_care(encoding: str) -> None:
    """New columns may move the others, whose cells are put without a look at where their column is."""
    for new in (1, 5, 50, 500):
        # What the columns are is seen only behind the row in the middle.
        keys = [letter * 24 for letter in "abcde"]
        rows = repeated(keys, ["7"], 20) + repeated(keys, ["0.25", "1.5", "-7"], 20)
        # A lone surrogate takes care, before anybody sees that there are new keys.
        rows[20] = [(keys[0], '"\\ud800"'), *((f"new {index}", "1") for index in range(new)), (keys[2], "7")]
        texts = ["{" + ",".join(f'"{key}":{text}' for key, text in row) + "}" for row in rows]
        makers: dict[str, Page] = {
            "protobuf": ProtobufPage(wire.page(rows)),
            "graphql": HistoryPage(history_body(texts)),
            "texts": TextPage(texts),
        }
        check_values(build_table([makers[encoding]]), rows_of_pairs(rows))


@pytest.mark.parametrize("length", LENGTHS)
def test_keys_of_every_length(length: int) -> None:
    keys = [letter * length for letter in "abc"]
    rows = repeated(keys, NUMBERS, 7)
    check_protobuf(rows)
    check_protobuf(rows, [keys[1]])
    check_protobuf(rows, ["none of them"])


@pytest.mark.parametrize("length", [20, 27, 28, 29, 30, 31, 60])
@pytest.mark.parametrize("place", [0, 10, 19, -1])
def test_keys_that_differ_in_one_letter(length: int, place: int) -> None:
    key = "k" * length
    letters = list(key)
    letters[place] = "x"
    other = "".join(letters)
    rows: list[Pairs] = [*[[(key, "1"), ("b", "2.5")]] * 4, [(other, "3"), ("b", "4.5")], [(key, "5"), ("b", "6.5")]]
    check_protobuf(rows)
    for wanted in (key, other, "b"):
        check_protobuf(rows, [wanted])


@pytest.mark.parametrize("size", [*range(95, 135), 16_380, 16_390])
def test_values_at_which_a_length_takes_another_byte(size: int) -> None:
    rows: list[Pairs] = [[("text", f'"{"x" * size}"'), ("loss", "0.25"), ("more", f"[{'1,' * (size // 2)}1]")]] * 5
    check_protobuf(rows)
    check_protobuf(rows, ["loss"])


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_that_change_after_a_while(encoding: str, flatten: bool, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(["_step", "a", "a.b", "b", "loss" * 9, "é"]), min_size=1, max_size=5))
    values = st.sampled_from(VALUES)
    rows: list[Pairs] = []
    for _ in range(data.draw(st.integers(1, 4))):
        # Some rows alike, then one key more, one less, or another order.
        if flatten:
            # Of a key given twice both values have a say in the column's type; dicts have one.
            keys = list(dict.fromkeys(keys))
        count = data.draw(st.integers(1, 4))
        rows.extend([(key, data.draw(values)) for key in keys] for _ in range(count))
        change = data.draw(st.sampled_from(["more", "less", "order", "twice"]))
        if change == "more":
            keys.insert(data.draw(st.integers(0, len(keys))), data.draw(st.sampled_from(["new", "a", "_step"])))
        elif change == "less" and len(keys) > 1:
            keys.pop(data.draw(st.integers(0, len(keys) - 1)))
        elif change == "twice":
            keys.append(keys[0])
        else:
            keys = data.draw(st.permutations(keys))
    page = ENCODINGS[encoding](rows)
    expected = page.rows()
    if not flatten:
        check_values(build_table([page]), expected)
        for wanted in (keys[:1], keys[-1:], ["b", "new"]):
            selected = [{key: row[key] for key in wanted if key in row} for row in expected]
            if not any("." in key for key in wanted):
                check_values(build_table([page], list(dict.fromkeys(wanted))), selected)
    else:
        # The careful way from rows that are dicts already.
        careful = build_table([expected], flatten=True)
        found = build_table([page], flatten=True)
        # Writers differ in whether they keep the order of keys.
        assert sorted(found.column_names) == sorted(careful.column_names)
        assert fingerprint(rows_of(found.select(careful.column_names))) == fingerprint(rows_of(careful))


def test_a_key_that_comes_to_overlap_with_expected_ones() -> None:
    """Of a log's nested keys, "a" and "a.b" are the same place: which of them counts depends on their order."""
    many = [[(["a", "b"], "1"), (["c"], "2.5")]] * 4
    for last in (
        [(["a", "b"], "3"), (["a"], "4")],
        [(["a"], "4"), (["a", "b"], "3")],
        [(["c"], "4"), (["a", "b"], "3"), (["a"], "5"), (["a", "b"], "6")],
    ):
        records = [*many, last, *many, last, *many]
        log = wire.write_log(wire.history_record(items, step) for step, items in enumerate(records))
        (page,) = windows_of(log, 10 * wire.BLOCK_SIZE)
        for flatten in (False, True):
            table = build_table([page], flatten=flatten)
            assert rows_of(table) == rows_of(build_table([page.rows()], flatten=flatten))


def test_unknown_fields_between_predicted_items() -> None:
    plain = [wire.field(1, wire.item("a", "1")), wire.field(1, wire.item("b", "2.25"))]
    unknown = wire.varint_field(9, 300)
    rows = [b"".join(plain)] * 3
    for place in range(3):
        parts = [*plain]
        parts.insert(place, unknown)
        rows.extend([b"".join(parts), b"".join(plain)])
    # A new key behind an unknown field, and then what was expected.
    rows.append(unknown + wire.field(1, wire.item("c", "3")) + b"".join(plain))
    rows.append(b"".join(plain))
    page = ProtobufPage(b"".join(wire.field(1, row) for row in rows))
    check_table(build_table([page]), page.rows())


def test_items_that_have_more_than_is_expected_of_them() -> None:
    """A second key, a second value or an unknown field within an item: the item's length tells."""
    plain = wire.item("loss", "1.5")
    for odd in (
        plain + wire.field(16, "2.5"),
        plain + wire.field(1, "other"),
        plain + wire.varint_field(7, 1),
        wire.field(16, "2.5") + wire.field(1, "loss"),
        wire.field(1, "loss"),
    ):
        for keys in (None, ["loss"], ["other"]):
            rows = [wire.field(1, plain) + wire.field(1, wire.item("tail", "0.125"))] * 4
            rows.append(wire.field(1, odd) + wire.field(1, wire.item("tail", "0.125")))
            check_page(b"".join(wire.field(1, row) for row in [*rows, *rows]), keys)


@pytest.mark.parametrize("keys", [None, ["b"], ["nothing"]])
def test_rows_cut_short_where_items_are_expected(keys: list[str] | None) -> None:
    row = [("a" * 30, "0.12345678901234567"), ("b", "12"), ("c" * 9, "1790000000.25"), ("d", '"x"')]
    whole = wire.page([row] * 5)
    last = wire.field(1, b"".join(wire.field(1, wire.item(key, text)) for key, text in row))
    body = last[len(last) - sum(len(wire.field(1, wire.item(key, text))) for key, text in row) :]
    for cut in range(len(body)):
        # The row says that it ends here, amid an item or between two.
        check_page(whole + wire.field(1, body[:cut]), keys)


def check_page(data: bytes, keys: list[str] | None = None) -> None:
    """Checks that columns of a page are what its rows are, or fail where these do."""
    page = ProtobufPage(data)
    places = []
    for read in (page.rows, lambda: build_table([ProtobufPage(data)], keys)):
        try:
            read()
        except HistoryDecodeError as error:
            places.append((error.row, error.byte))
    if places:
        # The value of a key that was not requested is not read, but a row that ends within an item is an error.
        assert len(places) == 2
        assert places[0] == places[1]
        return
    expected = page.rows()
    if keys is not None:
        expected = [{key: row[key] for key in keys if key in row} for row in expected]
    check_values(build_table([page], keys), expected)


def test_a_value_with_a_wrong_length_is_the_careful_readers() -> None:
    item = bytearray(wire.field(1, wire.item("loss", "0.12345678901234567")))
    for length in range(128):
        changed = bytearray(item)
        changed[10] = length
        check_page(b"".join(wire.field(1, row) for row in [*[bytes(item)] * 4, bytes(changed)]))


def test_a_length_of_two_bytes_that_looks_like_one() -> None:
    value = "0." + "1" * 118
    plain = wire.field(1, wire.item("loss", value))
    for length in range(128):
        # Its first byte says as much as a short length would, had it not the bit that says that another one follows.
        odd = plain[:1] + bytes([0x80 | length]) + wire.item("loss", value)
        for keys in (None, ["none"]):
            check_page(b"".join(wire.field(1, row) for row in [*[plain * 20] * 3, odd + plain * 19]), keys)


NUMBER_LIKE = st.one_of(
    st.text("0123456789.-+eE", min_size=1, max_size=34),
    st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{0,20})?([eE][-+]?[0-9]{0,3})?", fullmatch=True),
    st.sampled_from(
        [
            "-",
            "-.5",
            "1.",
            "01",
            "-01",
            "0.5e-",
            "0.5e-0",
            "1e5",
            "1e-05",
            "1.5e-05",
            "1e+5",
            "1.2.3",
            "--1",
            "1.5e-.5",
            "1.5e-5.",
            "1.5e--5",
            "15e-e5",
        ]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
)


@pytest.mark.parametrize("keys", [None, ["b"], ["none"]])
@pytest.mark.parametrize("encoding", ["text", "text, spaced", "history", "protobuf", "log"])
@given(text=NUMBER_LIKE)
@settings(max_examples=300, deadline=None)
def test_what_looks_like_a_number_amid_expected_members(encoding: str, keys: list[str] | None, text: str) -> None:
    plain: list[tuple[str, str]] = [("a", "1.5"), ("b", "2.25"), ("tail" * 12, "0.12345678901234567")]
    rows: list[Pairs] = [plain, plain, plain, [("a", text), *plain[1:]], plain]
    try:
        expected = rows_of_pairs(rows, encoding)
    except ValueError:
        page = ENCODINGS[encoding](rows)
        if keys is None or encoding not in ("protobuf", "log"):
            with pytest.raises(HistoryDecodeError) as caught:
                build_table([page], keys)
            assert caught.value.row == 3
            return
        # Values of items that were not requested are not read.
        expected = [{"b": 2.25}] * 5
    else:
        page = ENCODINGS[encoding](rows)
    if keys is not None:
        expected = [{key: row[key] for key in keys if key in row} for row in expected]
    check_values(build_table([page], keys), expected)


@pytest.mark.parametrize("encoding", ["text", "history", "sampled"])
def test_members_cut_short_where_they_are_expected(encoding: str) -> None:
    row = '{"a":1.5,"b":2,"tail":0.12345678901234567,"e":1.5e-05,"f":-3}'
    for cut in range(len(row)):
        texts = [row] * 4 + [row[:cut] + "}"] if encoding == "text" else [row] * 4 + [row[:cut]]
        if encoding == "text":
            page: Page = TextPage(texts)
        elif encoding == "history":
            page = HistoryPage(history_body(texts))
        else:
            page = SampledPage(sampled_body(texts))
        for keys in (None, ["b"], ["f"]):
            try:
                expected = page.rows()
            except HistoryDecodeError as error:
                with pytest.raises(HistoryDecodeError) as caught:
                    build_table([page], keys)
                assert (caught.value.row, error.row) == (4, 4)  # noqa: PT017
            else:
                if keys is not None:
                    expected = [{key: row[key] for key in keys if key in row} for row in expected]
                check_values(build_table([page], keys), expected)
