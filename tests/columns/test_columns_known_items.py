"""Items whose keys are known and come in whatever order, as wandb-core writes them: what columns make of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.formats import ProtobufPage
from tests.support import wire
from tests.support.column_faults import check_pages
from tests.support.column_rows import (
    JSON,
    Pairs,
    build_table,
    check_table,
    check_values,
    pages_of,
    rows_of_pairs,
    types_of,
    windows_of,
    write_rows,
)
from tests.support.encodings import log_page

NUMBERS = ["0", "-7", "0.5", "123456789", "1.7956976834968193e+09", "0.12345678901234567", "1e-05", "-2.5"]
OTHERS = ["null", "true", '"text"', '"NaN"', "NaN", "[1,2]", '{"a":1}', "18446744073709551615", " 3 ", "1E5"]

ITEMS = ["protobuf", "log", "log, nested key"]
"""The encodings whose rows are items."""

LENGTHS = [*range(1, 50), 60, 100, 119, 120, 121, 126, 127, 128, 200]
"""Of keys: those that are hashed by fewer words than four, by four or by more, and whose length takes two bytes."""


def shuffled(
    keys: Sequence[str], texts: Sequence[str], count: int, generator: random.Random, fewest: int = 1
) -> list[Pairs]:
    """Rows that have some of the keys, each row in an order of its own."""
    rows: list[Pairs] = []
    for _ in range(count):
        brought = generator.sample(keys, generator.randint(min(fewest, len(keys)), len(keys)))
        rows.append([(key, generator.choice(texts)) for key in brought])
    return rows


def check_rows(rows: Sequence[Pairs], keys: Sequence[str] | None = None, encodings: Sequence[str] = ITEMS) -> None:
    """Checks the columns of rows in pages of several sizes."""
    for encoding in encodings:
        expected = rows_of_pairs(rows, encoding)
        if keys is not None:
            expected = [{key: row[key] for key in keys if key in row} for row in expected]
        for size in (3, len(rows)):
            table = build_table(pages_of(encoding, rows, size), keys)
            check_values(table, expected)
            if keys is None:
                check_table(table, expected)


@pytest.mark.parametrize("length", LENGTHS)
def test_keys_of_every_length(length: int) -> None:
    generator = random.Random(length)
    keys = [letter * length for letter in "abcde"]
    rows = shuffled(keys, NUMBERS, 25, generator)
    check_rows(rows)
    check_rows(rows, keys[1:3])
    check_rows(rows, ["none of them"])


@pytest.mark.parametrize("length", [1, 4, 5, 6, 7, 14, 22, 29, 30, 31, 45, 90])
def test_keys_that_differ_in_one_letter(length: int) -> None:
    """Each letter counts: a key that was taken for another one would put its number there."""
    keys = ["k" * place + "x" + "k" * (length - place - 1) for place in range(length)] + ["k" * length]
    rows: list[Pairs] = [[(key, str(number)) for number, key in enumerate(keys)] for _ in range(20)]
    generator = random.Random(length)
    check_rows([generator.sample(row, len(row)) for row in rows])


def test_keys_of_which_one_begins_like_another() -> None:
    keys = ["l", "lo", "loss", "loss/a", "loss/a/" + "b" * 20, "loss/a/" + "b" * 21, "loss/a/" + "b" * 60, "é", ""]
    check_rows(shuffled(keys, NUMBERS, 100, random.Random(1)))


@pytest.mark.parametrize(
    "name", ["layer/{}", "model/layers/{}/grad", "a/very/long/name/of/layer/{}/and/the/rest/of/it"]
)
def test_more_keys_than_have_slots_of_their_own(name: str) -> None:
    generator = random.Random(5)
    keys = [name.format(number) for number in range(3_000)]
    rows = [[(key, str(number)) for number, key in enumerate(keys)]] * 2
    check_rows([generator.sample(row, len(row)) for row in rows], encodings=["protobuf"])


@pytest.mark.parametrize("encoding", ITEMS)
def test_columns_that_come_late_and_seldom(encoding: str) -> None:
    generator = random.Random(3)
    often = ["_step", "loss", "accuracy/of/the/second/head"]
    rows: list[Pairs] = []
    for step in range(700):
        row = [(key, generator.choice(NUMBERS)) for key in often]
        if step % 50 == 0:
            row.append((f"once/{step}", "0.25"))
        if step % 90 == 13:
            row.append(("seldom", "7"))
        generator.shuffle(row)
        rows.append(row)
    for size in (7, 100, 700):
        pages = pages_of(encoding, rows, size)
        check_table(build_table(pages), rows_of_pairs(rows, encoding))
        check_table(build_table(pages, rows=64), rows_of_pairs(rows, encoding))


def test_windows_of_a_log() -> None:
    generator = random.Random(4)
    rows = shuffled([f"train/loss_{number}" for number in range(30)], [*NUMBERS, *OTHERS], 500, generator)
    log = write_rows(rows, nested=True)
    for blocks in (1, 3):
        check_values(build_table(windows_of(log, blocks * wire.BLOCK_SIZE)), rows_of_pairs(rows, "log, nested key"))


def test_nested_items_that_come_to_overlap_with_known_ones() -> None:
    """From then on, the order within the row decides which of the two there is."""
    generator = random.Random(6)
    early: list[list[tuple[list[str], str]]] = [
        generator.sample([(["a"], "1"), (["b"], "2.5"), (["other"], "3")], 3) for _ in range(10)
    ]
    late: list[list[tuple[list[str], str]]] = [
        generator.sample([(["a"], "1"), (["b"], "2.5"), (["a", "x"], "7"), (["b", "y", "z"], "8"), (["other"], "3")], 5)
        for _ in range(40)
    ]
    for asked in (None, ["a"], ["b", "other"], ["a.x"]):
        rows = [*early, *late, *early]
        page = log_page(wire.write_log(wire.history_record(row) for row in rows))
        expected = [page.row(index) for index in range(len(rows))]
        if asked is None:
            check_values(build_table([page]), expected)
        elif asked == ["a.x"]:
            nested = [row["a"] if isinstance(row.get("a"), dict) else {} for row in expected]
            check_values(build_table([page], asked), [{"a.x": value["x"]} if "x" in value else {} for value in nested])
        else:
            check_values(build_table([page], asked), [{key: row[key] for key in asked} for row in expected])


def test_items_with_the_same_key_in_two_spellings() -> None:
    """`key` and a `nested_key` of one name are one column, and a row may have both: the last counts."""
    generator = random.Random(8)
    items = [("loss", "1"), (["loss"], "2.5"), ("accuracy", "3"), (["accuracy"], "0.5")]
    rows = [generator.sample(items, 4) for _ in range(50)]
    page = log_page(wire.write_log(wire.history_record(row) for row in rows))
    check_values(build_table([page]), [page.row(index) for index in range(len(rows))])


@pytest.mark.parametrize("encoding", ITEMS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_orders_that_repeat_and_cease_to(encoding: str, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(["_step", "a", "a.b", "b", "loss" * 9, "é"]), unique=True, min_size=1))
    values = st.sampled_from([*NUMBERS, *OTHERS])
    rows: list[Pairs] = []
    for _ in range(data.draw(st.integers(1, 5))):
        order = data.draw(st.permutations(keys))
        count = data.draw(st.integers(1, 4))
        rows.extend([(key, data.draw(values)) for key in order] for _ in range(count))
        if data.draw(st.booleans()):
            rows.append([(key, data.draw(values)) for key in data.draw(st.permutations([*keys, "new"]))[:3]])
    check_rows(rows, encodings=[encoding])
    check_rows(rows, keys[:2], encodings=[encoding])


def test_integers_beyond_a_double_among_known_keys() -> None:
    rows: list[Pairs] = [
        [("a", "0.5"), ("b", "1")],
        [("b", "1"), ("a", "0.5")],
        [("a", str(2**53 + 1)), ("b", "2")],
    ] * 3
    table = build_table([ProtobufPage(wire.page(rows))])
    assert types_of(table) == {"a": JSON, "b": "int64"}
    check_rows(rows)


def shuffled_page() -> bytes:
    """A page of a few rows; all but the first are of known keys only, in other orders."""
    generator = random.Random(9)
    items = [
        ("_step", "12"),
        ("train/loss", "0.12345678"),
        ("k" * 40, "-1.5"),
        ("_timestamp", "1.7956976834968193e+09"),
    ]
    return wire.page([generator.sample(items, 4) for _ in range(5)])


def test_pages_cut_short_anywhere() -> None:
    data = shuffled_page()
    assert sum(check_pages([ProtobufPage(data[:end])]) for end in range(len(data))) > len(data) / 2


def test_pages_with_any_byte_changed() -> None:
    data = shuffled_page()
    failed = 0
    for place in range(len(data)):
        for change in (0x01, 0x02, 0x08, 0x10, 0x20, 0x80, 0xFF):
            failed += check_pages([ProtobufPage(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])])
    assert failed > 100
