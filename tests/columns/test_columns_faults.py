"""Columns fail where dict rows fail, with the same words, and have all the rows before."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_chunks
from histscan.columns.threads import build_chunks_in_threads
from histscan.errors import HistoryDecodeError, HistoryError, ResponseShapeError
from tests.support import wire
from tests.support.column_faults import as_columns, check_pages, places
from tests.support.column_rows import ENCODINGS, Pairs, build_table, table_of, windows_of
from tests.support.encodings import SAMPLED, TEXT_ENCODINGS, history_body, log_page, sampled_body
from tests.support.json_corpus import CORPUS, MALFORMED, NOT_UTF8, is_json, is_utf8
from tests.support.json_strategies import edited, json_texts, object_texts
from tests.support.log_samples import Row

GOOD: list[Pairs] = [
    [("_step", "0"), ("text", '"é \\u00e9 \\ud83d\\ude00"'), ("list", "[1, 2.5]"), ("object", '{"a":{"b":[null]}}')],
    [("_step", "1"), ("text", '"NaN"'), ("list", "[]"), ("loss", "-1.5e-7")],
    [("loss", "NaN"), ("_step", "2"), ("big", str(2**64)), ("odd", '"\\ud800"')],
]


@pytest.mark.parametrize("encoding", ["protobuf", "log", "log, nested key"])
def test_messages_cut_short_anywhere(encoding: str) -> None:
    if encoding == "protobuf":
        data = wire.page(GOOD)
        for end in range(len(data)):
            check_pages([ProtobufPage(data[:end])])
        return
    nested = encoding != "log"
    records = [wire.history_record([([key] if nested else key, text) for key, text in row]) for row in GOOD]
    log = wire.write_log(records)
    for end in range(len(wire.LOG_HEADER), len(log)):
        # A log that ends early is one that is still being written.
        assert not check_pages([log_page(log[:end])])
    # Records that end early although their checksums are right.
    content = records[1][2:]
    failed = 0
    for end in range(len(content)):
        cut = wire.write_log([records[0], wire.field(wire.HISTORY, content[:end]), records[2]])
        failed += check_pages([log_page(cut)])
    assert failed > len(content) / 2


@pytest.mark.parametrize("kind", [HistoryPage, SampledPage])
def test_bodies_cut_short_anywhere(kind: type[Page]) -> None:
    texts = [json.dumps(row) for row in ({"a": 1, "é": "é\n"}, {"b": [1, {"c": None}], "a": 0.5}, {"a": "\ud83d"})]
    body = history_body(texts) if kind is HistoryPage else sampled_body(texts)
    for end in range(body.rindex(b"[", 0, 60) + 1, len(body)):
        assert check_pages([kind(body[:end])])  # type: ignore[call-arg]


def test_row_texts_cut_short_anywhere() -> None:
    for row in GOOD:
        text = "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in row) + "}"
        for end in range(len(text)):
            assert check_pages([TextPage(['{"a":1}', text[:end], '{"a":2}'])])


@pytest.mark.parametrize("encoding", ["protobuf", "log"])
def test_messages_with_any_byte_changed(encoding: str) -> None:
    data = wire.page(GOOD)
    failed = 0
    for place in range(len(data)):
        for change in (0x01, 0x08, 0x20, 0x80, 0xFF):
            changed = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
            if encoding == "protobuf":
                failed += check_pages([ProtobufPage(changed)])
            elif change in (0x01, 0x80):
                # The row of a ParquetHistoryItem is one of a HistoryRecord as well.
                row = changed[2 if changed[1] < 0x80 else 3 :]
                log = wire.write_log(
                    [wire.history_record(GOOD[1]), wire.field(wire.HISTORY, row), wire.history_record(GOOD[2])]
                )
                failed += check_pages([log_page(log)])
    assert failed > 100


@pytest.mark.parametrize("kind", [HistoryPage, SampledPage])
def test_bodies_with_any_byte_changed(kind: type[Page]) -> None:
    texts = [json.dumps(row) for row in ({"a": 1, "é": "é\n"}, {"b": [1, {"c": None}], "a": 0.5})]
    body = history_body(texts) if kind is HistoryPage else sampled_body(texts)
    failed = 0
    for place in range(body.index(b"[") + 1, len(body)):
        for change in (0x01, 0x02, 0x08, 0x20, 0x80, 0xFF):
            changed = body[:place] + bytes([body[place] ^ change]) + body[place + 1 :]
            try:
                kind(changed)  # type: ignore[call-arg]
            except HistoryError:
                # There is no page to make rows or columns of.
                continue
            failed += check_pages([kind(changed)])  # type: ignore[call-arg]
    assert failed > 100


def test_logs_with_any_byte_changed() -> None:
    log = wire.write_log(wire.history_record(row) for row in GOOD)
    failed = 0
    for place in range(len(wire.LOG_HEADER), len(log)):
        changed = log[:place] + bytes([log[place] ^ 0x40]) + log[place + 1 :]
        failed += check_pages([log_page(changed)])
    assert failed > len(log) / 2


def check_text(text: str) -> None:
    """Checks a text as a row, and as a value within one, in every encoding."""
    before, after = '{"before": [1.5, "é"]}', '{"a": null}'
    for encoding in TEXT_ENCODINGS:
        if encoding.takes(text):
            check_pages([encoding.page([before, text, after])])
            if is_utf8(text):
                member = f'{{"before": 1, "value": {text}, "after": 2}}'
                check_pages([encoding.page([before, member, after])])
    if SAMPLED.takes(text):
        check_pages([SAMPLED.page([before, f'{{"a": {text}}}', after])])


def test_corpus_of_malformed_texts() -> None:
    for text in MALFORMED:
        check_text(text)


def test_corpus_of_texts_as_rows() -> None:
    for text in CORPUS:
        if is_json(text) and len(text) < 5_000:
            check_text(text)


@given(edited(json_texts))
@settings(max_examples=80)
def test_edited_texts(text: str) -> None:
    check_text(text)


@given(edited(object_texts), st.integers(1, 3))
@settings(max_examples=80)
def test_edited_rows(text: str, batch_rows: int) -> None:
    for encoding in TEXT_ENCODINGS:
        if encoding.takes(text):
            check_pages([encoding.page(['{"a":1}', "{}", text, '{"b":2}'])], batch_rows)


def test_bytes_that_are_not_utf8() -> None:
    for junk in NOT_UTF8:
        for value in (b'"' + junk + b'"', b'["' + junk + b'"]', b'{"' + junk + b'":1}'):
            item = wire.field(1, "a") + wire.field(16, value)
            row = wire.field(1, item)
            check_pages([ProtobufPage(wire.page(GOOD) + wire.field(1, row))])
            check_pages([log_page(wire.write_log([wire.history_record(GOOD[1]), wire.field(wire.HISTORY, row)]))])
            nested = wire.field(2, "n") + wire.field(2, "a") + wire.field(16, value)
            record = wire.field(wire.HISTORY, wire.field(1, nested))
            check_pages([log_page(wire.write_log([wire.history_record(GOOD[1]), record]))])
            body = b'{"data":{"project":{"run":{"sampledHistory":[[{"a":1},{"b":' + value + b"}]]}}}}"
            check_pages([SampledPage(body)])
        if b"\\" not in junk:
            key = wire.field(1, wire.field(1, junk) + wire.field(16, "1"))
            assert check_pages([ProtobufPage(wire.field(1, key))])
            record = wire.field(
                wire.HISTORY, wire.field(1, wire.field(2, "n") + wire.field(2, junk) + wire.field(16, "1"))
            )
            assert check_pages([log_page(wire.write_log([record]))])
            body = b'{"data":{"project":{"run":{"history":["{}","{\\"' + junk + b'\\":1}"]}}}}'
            assert check_pages([HistoryPage(body)])


def test_a_row_that_is_no_object_names_its_place_in_its_page() -> None:
    for text in ("1", "null", '"x"', "[{}]", '[{"a":1}]', " true"):
        pages = [TextPage(['{"a":1}'] * 3), TextPage(['{"a":1}', text])]
        table, error = as_columns(pages)
        assert table.column("a").to_pylist() == [1] * 4
        assert isinstance(error, ResponseShapeError)
        assert error.row == 1


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_raise_what_comes_first(threads: int) -> None:
    good = TextPage(['{"a":1}'] * 20)

    def pages(count: int, bad: Sequence[int]) -> Iterable[Page]:
        for number in range(count):
            yield TextPage(['{"a":1}', f'{{"a":{number}x}}']) if number in bad else good
        raise HistoryError("there was no more to be had")

    for count, bad, expected in (
        (0, [], "no more"),
        (30, [], "no more"),
        (30, [29], "29x"),
        (40, [3, 25], "3x"),
        (1, [0], "0x"),
    ):
        with pytest.raises(HistoryError) as of_one:
            list(build_chunks(pages(count, bad), keys=None, flatten=False, rows=10))
        sizes: list[int] = []
        chunks = build_chunks_in_threads(pages(count, bad), keys=None, flatten=False, threads=threads)
        with pytest.raises(HistoryError) as of_several:
            sizes.extend(map(len, chunks))
        assert places(of_several.value) == places(of_one.value)
        assert (expected in str(of_several.value)) == (expected == "no more")
        assert all(sizes)


def test_rows_before_a_fault_come_in_whole_batches() -> None:
    for make in (ENCODINGS["text"], ENCODINGS["protobuf"], ENCODINGS["log"], ENCODINGS["sampled"]):
        rows: list[Pairs] = [*([("a", str(index))] for index in range(10)), [("a", "[")], [("a", "1")]]
        if make is ENCODINGS["sampled"]:
            rows[10] = [("a", r'"\x"')]
        for batch_rows in (1, 3, 4, 10, 100):
            sizes: list[int] = []
            with pytest.raises(HistoryDecodeError) as caught:
                sizes.extend(map(len, build_chunks([make(rows)], keys=None, flatten=False, rows=batch_rows)))
            assert caught.value.row == 10
            assert sum(sizes) == 10
            assert all(size == batch_rows for size in sizes[:-1])


def test_a_builder_goes_on_behind_a_fault() -> None:
    for make in ENCODINGS.values():
        bad = r'"\x"'
        page = make([[("a", "1"), ("b", "2")], [("b", '"old"'), ("c", "[1]"), ("a", bad)], [("a", "3")]])
        builder = ColumnBuilder()
        with pytest.raises(HistoryDecodeError):
            builder.add_page(page)
        assert builder.row_count == 1
        # Nothing of the bad row is left where the next one comes to stand.
        builder.add_page(page, 2)
        assert builder.add_page(make([[("b", "4")]])) == 1
        table = table_of([builder.take_chunk()])
        assert [table.column(name).to_pylist() for name in "ab"] == [[1, 3, None], [2, None, 4]]
        assert table.column("c").null_count == 3


def test_deep_nesting_within_and_beyond_what_python_can_decode() -> None:
    for depth in (100, 900, 1_100, 8_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            text = opening * depth + "1" + closing * depth
            for make in ENCODINGS.values():
                column = build_table([make([[("a", text)], [("a", "1")]])]).column("a")
                assert column.to_pylist() == [text, "1"]
    for make in ENCODINGS.values():
        # Rows with surrogates are made of Python's objects, which have limits: from CPython 3.14 on, that of the stack.
        depth = 5_000 if sys.version_info < (3, 14) else 500_000
        rows: list[Pairs] = [[("b", '"\\ud800"'), ("a", "[" * depth + "]" * depth)]]
        with pytest.raises(HistoryDecodeError, match="nested too deeply"):
            build_table([make(rows)])
    for depth in range(900, 1_050, 5):
        text = '{"b":"\\ud800","a":' + "[" * depth + "]" * depth + "}"
        _, error = as_columns([TextPage([text])])
        assert error is None or "nested too deeply" in error.reason


def test_nesting_without_end() -> None:
    for make in (ENCODINGS["text"], ENCODINGS["protobuf"], ENCODINGS["history"]):
        for text in ("[" * 100_000, '{"a":' * 100_000):
            assert check_pages([make([[("b", "1"), ("a", text)]])])


def test_integers_beyond_what_python_can_print() -> None:
    digits = "7" * 5_000
    for make in ENCODINGS.values():
        table = build_table([make([[("a", digits)], [("a", "-" + digits)], [("a", f"[{digits}]")], [("a", "1")]])])
        assert table.column("a").to_pylist() == [digits, "-" + digits, f"[{digits}]", "1"]


def test_long_logs_with_a_fault_in_a_later_window() -> None:
    records = [
        wire.history_record([("_step", str(step)), ("text", json.dumps("x" * 700))], step) for step in range(200)
    ]
    records[150] = wire.history_record([("_step", "1x")], 150)
    log = wire.write_log(records)
    assert check_pages([*windows_of(log)], 60)
    assert as_columns(windows_of(log))[0].num_rows == 150
    # A chunk whose checksum is wrong.
    place = log.index(b'"x', 100_000) + 50
    changed = log[:place] + b"y" + log[place + 1 :]
    assert check_pages([*windows_of(changed)], 7)
    # Passed over, for both.
    reader = LogReader(skip_corrupt=True)
    page = reader.read_window(changed, True)
    assert not check_pages([page])
    assert len(reader.corrupt_at) == 1
    assert 100 < len(page) < 200


def test_dict_rows_of_an_odd_kind() -> None:
    builder = ColumnBuilder()
    for odd_row in (1, None, "text", [], [("a", 1)]):
        with pytest.raises(ResponseShapeError, match="not an object"):
            builder.add_rows([odd_row])
    odd: Row = {"a": {1, 2}}
    with pytest.raises(TypeError):
        builder.add_rows([odd])
    with pytest.raises(TypeError):
        builder.add_rows([{1: 2}])
    with pytest.raises(TypeError):
        builder.add_page([])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        builder.add_page(None)  # type: ignore[arg-type]
    builder.add_rows([{"b": 1}])
    assert builder.row_count == 1
    assert table_of([builder.take_chunk()]).column("b").to_pylist() == [1]


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "sampled"])
def test_a_row_that_fails_does_not_decide_types(encoding: str) -> None:
    good: list[Pairs] = [
        [("int", "1"), ("float", "0.5"), ("text", '"a"'), ("bool", "true"), ("list", "[1]"), ("NaN", '"NaN"')],
        [("int", "-2"), ("uint", str(2**63)), ("text", '"\\u00e9"'), ("list", "[]"), ("object", '{"a": 1}')],
        [("big", str(2**64)), ("wide", str(2**53 + 1)), ("none", "null")],
    ]
    keys = dict.fromkeys(key for row in good for key, _ in row)
    expected = build_table([ENCODINGS[encoding](good * 9)])
    for value in ("1", "0.5", '"x"', "true", "[2]", "[0.5]", "-1", str(2**64), "{}"):
        bad = [*((key, value) for key in keys), ("malformed", "tru")]
        for rows in (good * 9, [good[0]] * 9 + [good[1], good[2]]):
            builder = ColumnBuilder()
            with pytest.raises(HistoryDecodeError):
                builder.add_page(ENCODINGS[encoding]([*rows, bad, good[0]]), 0)
            table = table_of([builder.take_chunk()]).select([*keys])
            assert table.schema.equals(expected.select([*keys]).schema, check_metadata=True)


def test_a_row_that_fails_leaves_no_cells_in_the_next() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    builder = ColumnBuilder()
    builder.add_rows([{"loss": 0.5}])
    with pytest.raises(HistoryDecodeError):
        builder.add_rows([{"loss": 1.5, "early": 1, "deep": deep}])
    builder.add_rows([{"late": 2}])
    rows = table_of([builder.take_chunk()]).to_pylist()
    assert [list(filter(None, row.values())) for row in rows] == [[0.5], [2]]
