"""LogReader finds the records that wandb's own reader finds, and their rows are wandb's."""

from __future__ import annotations

import json
import random
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.log_reader import BLOCK_SIZE, LogReader, checksum
from histscan.errors import HistoryDecodeError
from tests.support import log_oracle, wire
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import read_log, step_rows, steps_of
from tests.support.paths import DATA, EXAMPLE

RECORDINGS = [DATA / "default-encoding.wandb", DATA / "typed-encoding.wandb", EXAMPLE]
HEADER_SIZE = len(wire.LOG_HEADER)


key_names = st.sampled_from(["a", "b", "c", "a.b", "", "é"])
log_items = st.tuples(
    st.one_of(key_names, st.lists(key_names, min_size=1, max_size=3)), st.sampled_from(["1", "NaN", '{"c": 1}'])
)


@cache
def rows_of_recording(path: Path) -> tuple[bytes, list[Any]]:
    log = path.read_bytes()
    return log, log_oracle.rows_by_wandb(log)


@pytest.mark.parametrize("blocks", [1, 2, 3, 32, 1000])
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_recordings_read_as_wandb_reads_them(path: Path, blocks: int) -> None:
    log, rows = rows_of_recording(path)
    assert len(rows) >= 50
    reading = read_log(log, blocks=blocks)
    assert fingerprint(reading.rows) == fingerprint(rows)
    assert reading.error is None
    assert reading.reader.truncated_at is None
    assert reading.reader.corrupt_at == []
    assert reading.reader.offset == len(log)
    assert len(reading.pages) == len(log) // (blocks * BLOCK_SIZE) + 1


def test_a_reader_keeps_the_records_that_it_is_told_to() -> None:
    kinds = [field for field in range(1, 64) if field != 2]
    records = [wire.field(field, bytes([field, number])) for number in range(3) for field in kinds]
    log = wire.write_log([wire.history_record([("a", "1")], 0), *records])
    for kept in ([], [7], [4, 13, 63], kinds):
        page = LogReader(fields=kept).read_window(log, True)
        assert len(page) == 0
        for field in kinds:
            expected = [bytes([field, number]) for number in range(3)] if field in kept else []
            assert page.records(field) == expected
        assert page.records(*kinds) == [
            bytes([field, number]) for number in range(3) for field in kinds if field in kept
        ]
    assert len(LogReader(fields=[2]).read_window(log, True)) == 1
    for unknown in (0, -1, 64, 1000):
        with pytest.raises(ValueError, match=str(unknown)):
            LogReader(fields=[unknown])


@pytest.mark.parametrize(("field", "kind"), [(3, "summary"), (5, "config"), (17, "run"), (18, "exit")])
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_other_records_of_recordings(path: Path, field: int, kind: str) -> None:
    log = path.read_bytes()
    expected = [getattr(record, kind) for record in log_oracle.records_by_wandb(log) if record.HasField(kind)]
    found = [message for page in read_log(log).pages for message in page.records(field)]
    assert [type(message).FromString(data) for message, data in zip(expected, found, strict=True)] == expected
    # A config only has records of its own when it changes after `init`.
    assert expected or kind == "config"


def test_steps_of_recordings() -> None:
    log = EXAMPLE.read_bytes()
    expected = [record.history.step.num for record in log_oracle.records_by_wandb(log) if record.HasField("history")]
    pages = read_log(log, blocks=4).pages
    assert [page.step_range() for page in pages if len(page)] == [
        (min(steps), max(steps)) for page in pages if (steps := steps_of(page.rows()))
    ]
    assert expected == [step for page in pages for step in steps_of(page.rows())]


@given(st.lists(st.lists(log_items, max_size=6), max_size=8))
@settings(max_examples=300)
def test_nested_keys(rows: list[list[tuple[str | list[str], str]]]) -> None:
    log = wire.write_log(wire.history_record(row, step) for step, row in enumerate(rows))
    assert fingerprint(read_log(log).rows) == fingerprint(log_oracle.rows_by_wandb(log))


def filler_record(length: int) -> bytes:
    """A record of so many bytes that nobody knows."""
    data = bytes(length - 5)
    return wire.tag(999, wire.LENGTH_DELIMITED) + wire.varint(len(data), length=3) + data


@pytest.mark.parametrize("left", [*range(25), 100, 1000])
@pytest.mark.parametrize("size", [0, 1, 100, BLOCK_SIZE - 100, BLOCK_SIZE * 2, BLOCK_SIZE * 5 + 13])
def test_records_at_the_end_of_a_block(left: int, size: int, tmp_path: Path) -> None:
    """With `left` bytes to the block's end: padding, an empty first chunk, or a first chunk of few bytes."""
    first, *others = step_rows(range(4), size=size)
    start = wire.write_log([first])
    room = -(len(start) + wire.CHUNK_HEADER_SIZE + left) % BLOCK_SIZE
    # One that reaches into the next block has a chunk more, and perhaps another.
    sizes = (size - headers * wire.CHUNK_HEADER_SIZE for size in (room, room + BLOCK_SIZE) for headers in range(3))
    fillers = (filler_record(size) for size in sizes if size > 4)
    filler = next(each for each in fillers if (len(wire.append_record(start, each)) + left) % BLOCK_SIZE == 0)
    records = [first, filler, *others]
    log = wire.write_log(records)
    assert log == log_oracle.write_by_wandb(tmp_path / "log.wandb", records)
    rows = log_oracle.rows_by_wandb(log)
    for blocks in (1, 2, 3, 7, 100):
        reading = read_log(log, blocks=blocks)
        assert fingerprint(reading.rows) == fingerprint(rows)
        assert (reading.error, reading.reader.truncated_at) == (None, None)


@given(st.lists(st.integers(0, 40_000), max_size=12), st.integers(1, 4))
@settings(max_examples=60)
def test_records_of_any_size(sizes: list[int], blocks: int) -> None:
    log = wire.write_log(record for step, size in enumerate(sizes) for record in step_rows([step], size=size))
    reading = read_log(log, blocks=blocks)
    assert fingerprint(reading.rows) == fingerprint(log_oracle.rows_by_wandb(log))
    assert (reading.error, reading.reader.truncated_at) == (None, None)


def test_a_malformed_row_is_an_error_of_that_row_alone() -> None:
    records = step_rows(range(4))
    records[2] = wire.history_record([("_step", "2"), ("loss", "oops")], 2)
    log = wire.write_log(records)
    page = LogReader().read_window(log, True)
    assert [page.row(index)["_step"] for index in (0, 1, 3)] == [0, 1, 3]
    with pytest.raises(HistoryDecodeError) as caught:
        page.row(2)
    assert (caught.value.row, caught.value.path) == (2, "$.loss")
    assert caught.value.byte == log.index(b"oops")
    assert page.step_range() == (0, 3)


def typed_item(key: str, *fields: bytes) -> bytes:
    return wire.field(1, wire.field(2, key) + b"".join(fields))


NONE, BOOLEAN, INTEGER, NUMBER, TEXT, JSON, VALUE_JSON = 3, 4, 5, 6, 7, 8, 16


def zigzag(value: int) -> int:
    """How protobuf's sint64 writes a number."""
    return value << 1 if value >= 0 else (-value << 1) - 1


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ([wire.varint_field(NONE, 0)], None),
        ([wire.varint_field(BOOLEAN, 1)], True),
        ([wire.varint_field(BOOLEAN, 0)], False),
        ([wire.varint_field(INTEGER, zigzag(0))], 0),
        ([wire.varint_field(INTEGER, zigzag(-1))], -1),
        ([wire.varint_field(INTEGER, zigzag(2**63 - 1))], 2**63 - 1),
        ([wire.varint_field(INTEGER, zigzag(-(2**63)))], -(2**63)),
        ([wire.fixed64_field(NUMBER, -0.0)], -0.0),
        ([wire.fixed64_field(NUMBER, float("nan"))], float("nan")),
        ([wire.fixed64_field(NUMBER, float("-inf"))], float("-inf")),
        ([wire.fixed64_field(NUMBER, 1.0)], 1.0),
        ([wire.field(TEXT, "é\n")], "é\n"),
        ([wire.field(TEXT, "")], ""),
        ([wire.field(JSON, '{"a":[NaN]}')], {"a": [float("nan")]}),
        # As wandb 0.31.0 writes both, the JSON is what its server reads.
        ([wire.fixed64_field(NUMBER, 1.0), wire.field(VALUE_JSON, "1")], 1),
        ([wire.field(VALUE_JSON, "1"), wire.fixed64_field(NUMBER, 1.0)], 1),
        ([wire.field(VALUE_JSON, ""), wire.fixed64_field(NUMBER, 1.0)], 1.0),
        # Of a oneof the last counts.
        ([wire.varint_field(BOOLEAN, 1), wire.field(TEXT, "last")], "last"),
        ([wire.field(TEXT, "first"), wire.varint_field(NONE, 0)], None),
    ],
    ids=repr,
)
def test_typed_values(fields: list[bytes], value: object) -> None:
    history = typed_item("before", wire.field(VALUE_JSON, "0")) + typed_item("value", *fields)
    log = wire.write_log([wire.field(wire.HISTORY, history)] * 4)
    expected = [{"before": 0, "value": value, "_step": step} for step in range(4)]
    assert fingerprint(read_log(log).rows) == fingerprint(expected)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [wire.field(VALUE_JSON, "")],
        [wire.field(TEXT, b"\xff")],
        [wire.field(JSON, "oops")],
        [wire.field(JSON, "")],
        [wire.tag(INTEGER, wire.VARINT) + wire.varint(1, length=11)],
        [wire.tag(NUMBER, wire.FIXED64) + b"1234"],
        [wire.field(INTEGER, "1")],
    ],
    ids=repr,
)
def test_malformed_typed_values(fields: list[bytes]) -> None:
    log = wire.write_log([wire.field(wire.HISTORY, typed_item("a", *fields))])
    with pytest.raises(HistoryDecodeError):
        LogReader().read_window(log, True).rows()


def test_typed_recording_holds_the_same_rows_without_its_json() -> None:
    """Takes the JSON out of wandb's own typed recording, so that only the typed values are left to read."""
    log = (DATA / "typed-encoding.wandb").read_bytes()
    json_rows = [json.loads(line) for line in (DATA / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    typed = []
    for record in log_oracle.records_by_wandb(log):
        if record.HasField("history"):
            for item in record.history.item:
                item.ClearField("value_json")
            typed.append(record.SerializeToString())
    rows = read_log(wire.write_log(typed)).rows
    for row in rows:
        assert {"_runtime", "_timestamp"} <= row.keys()
        del row["_runtime"], row["_timestamp"]
    assert log_oracle.same_values(rows, json_rows)


def test_select_steps() -> None:
    log = wire.write_log([*step_rows(range(20)), wire.history_record([("no", "1")])])
    for first, stop in ((0, 100), (5, 9), (19, 20), (7, 7), (9, 2), (-5, 3), (1, 2**62)):
        page = LogReader().read_window(log, True)
        page.select_steps(first, stop)
        # A step that is not written is the one after the row before.
        steps = steps_of(page.rows())
        assert steps == [step for step in range(21) if first <= step < stop]
        assert page.step_range() == ((min(steps), max(steps)) if steps else None)


def test_rows_of_a_page_outlive_the_reader() -> None:
    log = wire.write_log(step_rows(range(6), size=20_000))
    pages = read_log(log).pages
    del log
    assert [row["_step"] for page in pages for row in page.rows()] == list(range(6))


def test_windows_have_to_be_whole_blocks() -> None:
    log = wire.write_log(step_rows(range(2)))
    with pytest.raises(ValueError, match="whole blocks"):
        LogReader().read_window(log, False)
    reader = LogReader()
    reader.read_window(log, True)
    assert reader.is_finished
    with pytest.raises(ValueError, match="read to its end"):
        reader.read_window(b"", True)
    for wrong in (None, "text", bytearray(log), memoryview(bytearray(log))):
        with pytest.raises(TypeError):
            LogReader().read_window(wrong, True)  # type: ignore[arg-type]
    strided = memoryview(log.replace(b"", b"-"))[1::2]
    assert LogReader().read_window(strided, True).rows() == LogReader().read_window(log, True).rows()


@pytest.mark.parametrize("size", [*range(150), 1000, 4096, 32_761])
def test_checksums(size: int) -> None:
    data = random.Random(size).randbytes(size)
    for kind in (0, 1, 4, 255):
        assert checksum(kind, data) == zlib.crc32(bytes([kind]) + data)


@given(st.binary(max_size=400), st.integers(0, 255))
def test_checksums_of_any_data(data: bytes, kind: int) -> None:
    assert checksum(kind, data) == zlib.crc32(bytes([kind]) + data)
