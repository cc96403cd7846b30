"""LogReader finds the records that wandb's own reader finds, and says what is missing where there are fewer."""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.log_page import LogPage
from histscan._core.log_reader import BLOCK_SIZE, LogReader, checksum
from histscan.errors import HistoryDecodeError, LogFormatError
from tests import log_oracle, wire
from tests.json_corpus import fingerprint

DATA = Path(__file__).parent / "data"
EXAMPLE = next(Path(__file__).parents[1].joinpath("examples").glob("*.wandb"))
RECORDINGS = [DATA / "default-encoding.wandb", DATA / "typed-encoding.wandb", EXAMPLE]
HEADER_SIZE = len(wire.LOG_HEADER)


@dataclass
class Reading:
    """What reading a whole log gave."""

    rows: list[Any]
    error: HistoryDecodeError | None
    reader: LogReader
    pages: list[LogPage]


def read_log(log: bytes, *, blocks: int = 1, skip_corrupt: bool = False) -> Reading:
    """Reads a log in windows of so many blocks, as far as it goes."""
    reader = LogReader(skip_corrupt)
    reading = Reading([], None, reader, [])
    size = blocks * BLOCK_SIZE
    try:
        while not reader.is_finished:
            window = log[reader.offset : reader.offset + size]
            page = reader.read_window(window, len(window) < size)
            reading.pages.append(page)
            for index in range(len(page)):
                reading.rows.append(page.row(index))
            page.rows()
    except HistoryDecodeError as error:
        reading.error = error
    return reading


def step_rows(count: int, *, size: int = 0, first: int = 0) -> list[bytes]:
    """Records of rows that name their step, each with a text of about `size` characters."""
    return [
        wire.history_record([("_step", str(step)), ("text", json.dumps(chr(97 + step % 26) * size))], step)
        for step in range(first, first + count)
    ]


def steps_of(rows: list[Any]) -> list[int]:
    return [row["_step"] for row in rows]


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
    assert [page.steps() for page in pages if len(page)] == [
        (min(steps), max(steps)) for page in pages if (steps := steps_of(page.rows()))
    ]
    assert expected == [step for page in pages for step in steps_of(page.rows())]


ROWS = [
    [("a", "1"), ("b", '"é"')],
    [(["a"], "1"), (["b", "c"], "NaN"), (["b", "d.e"], "[1]")],
    [(["x", "", "y"], "1")],
    [],
]
key_names = st.sampled_from(["a", "b", "c", "a.b", "", "é"])
log_items = st.tuples(
    st.one_of(key_names, st.lists(key_names, min_size=1, max_size=3)), st.sampled_from(["1", "NaN", '{"c": 1}'])
)


@given(st.lists(st.lists(log_items, max_size=6), max_size=8))
@settings(max_examples=300, deadline=None)
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
    first, *others = step_rows(4, size=size)
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
@settings(max_examples=60, deadline=None)
def test_records_of_any_size(sizes: list[int], blocks: int) -> None:
    log = wire.write_log(record for step, size in enumerate(sizes) for record in step_rows(1, size=size, first=step))
    reading = read_log(log, blocks=blocks)
    assert fingerprint(reading.rows) == fingerprint(log_oracle.rows_by_wandb(log))
    assert (reading.error, reading.reader.truncated_at) == (None, None)


@dataclass
class Chunks:
    """Where the chunks and the records of a log are."""

    spans: list[tuple[int, int]]
    records: list[tuple[int, int]]

    @classmethod
    def of(cls, log: bytes) -> Chunks:
        spans: list[tuple[int, int]] = []
        records: list[tuple[int, int]] = []
        at = HEADER_SIZE
        first = at
        while at < len(log):
            if BLOCK_SIZE - at % BLOCK_SIZE < wire.CHUNK_HEADER_SIZE:
                at += BLOCK_SIZE - at % BLOCK_SIZE
                continue
            kind = log[at + 6]
            end = at + wire.CHUNK_HEADER_SIZE + int.from_bytes(log[at + 4 : at + 6], "little")
            spans.append((at, end))
            if kind in (wire.FULL, wire.FIRST):
                first = at
            if kind in (wire.FULL, wire.LAST):
                records.append((first, end))
            at = end
        return cls(spans, records)

    def at(self, offset: int) -> tuple[int, int] | None:
        """The chunk that holds a byte; None for padding."""
        return next((span for span in self.spans if span[0] <= offset < span[1]), None)


def expected_after_cut(chunks: Chunks, length: int) -> tuple[int, int | None]:
    """How many records a log cut to a length still has, and where the first lost one began, if it left something."""
    whole = sum(end <= length for _, end in chunks.records)
    begun = [begin for begin, end in chunks.records[whole:] if begin < length]
    return whole, begun[0] if begun else None


def check_cut(log: bytes, chunks: Chunks, length: int, *, blocks: int = 1) -> None:
    whole, truncated_at = expected_after_cut(chunks, length)
    reading = read_log(log[:length], blocks=blocks)
    assert steps_of(reading.rows) == list(range(whole))
    assert reading.error is None
    assert reading.reader.truncated_at == truncated_at
    assert reading.reader.is_finished


def test_a_small_log_cut_at_every_byte() -> None:
    log = wire.write_log(step_rows(12, size=20))
    chunks = Chunks.of(log)
    for length in range(HEADER_SIZE, len(log) + 1):
        check_cut(log, chunks, length)
    for length in range(HEADER_SIZE):
        with pytest.raises(LogFormatError, match="empty" if length == 0 else "header") as caught:
            LogReader().read_window(log[:length], True)
        assert caught.value.byte == 0


def test_a_log_of_many_blocks_cut_anywhere() -> None:
    log = wire.write_log(step_rows(9, size=20_000))
    chunks = Chunks.of(log)
    assert len(log) > 5 * BLOCK_SIZE
    edges = {edge + nudge for span in chunks.spans for edge in span for nudge in range(-9, 10)}
    edges |= {block * BLOCK_SIZE + nudge for block in range(1, 6) for nudge in range(-9, 10)}
    edges |= set(random.Random(5).sample(range(HEADER_SIZE, len(log)), 100))
    for length in sorted(edge for edge in edges if HEADER_SIZE <= edge <= len(log)):
        check_cut(log, chunks, length, blocks=1 + length % 3)


def check_changed(log: bytes, chunks: Chunks, position: int, byte: int, *, blocks: int = 1) -> None:
    """Checks both ways of reading a log with one byte changed."""
    changed = log[:position] + bytes([byte]) + log[position + 1 :]
    chunk = chunks.at(position)
    if chunk is None:
        # Padding, which nobody reads.
        assert steps_of(read_log(changed, blocks=blocks).rows) == list(range(len(chunks.records)))
        return
    before = [index for index, (_, end) in enumerate(chunks.records) if end <= chunk[0]]
    reading = read_log(changed, blocks=blocks)
    assert steps_of(reading.rows) == before
    length = int.from_bytes(changed[chunk[0] + 4 : chunk[0] + 6], "little")
    if chunk[0] + wire.CHUNK_HEADER_SIZE + length > len(log) and chunk[0] // BLOCK_SIZE == (len(log) - 1) // BLOCK_SIZE:
        # A length that leads beyond the end of the file is what a log that is still being written looks like, as long
        # as it does not lead beyond the block.
        block_end = (chunk[0] // BLOCK_SIZE + 1) * BLOCK_SIZE
        if chunk[0] + wire.CHUNK_HEADER_SIZE + length <= block_end:
            assert reading.error is None
            assert reading.reader.truncated_at is not None
            return
    assert isinstance(reading.error, LogFormatError)
    assert reading.error.byte == chunk[0]
    assert str(chunk[0]) in str(reading.error)
    skipping = read_log(changed, blocks=blocks, skip_corrupt=True)
    assert skipping.error is None
    assert skipping.reader.corrupt_at == [chunk[0]]
    block_end = (chunk[0] // BLOCK_SIZE + 1) * BLOCK_SIZE
    behind = [index for index, (begin, _) in enumerate(chunks.records) if begin >= block_end]
    assert steps_of(skipping.rows) == before + behind
    whole = dict(enumerate(read_log(log).rows))
    assert all(fingerprint(row) == fingerprint(whole[row["_step"]]) for row in skipping.rows)


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_a_small_log_with_every_byte_changed(change: int) -> None:
    log = wire.write_log(step_rows(8, size=10))
    chunks = Chunks.of(log)
    for position in range(HEADER_SIZE, len(log)):
        check_changed(log, chunks, position, log[position] ^ change)
    for position in range(HEADER_SIZE):
        changed = log[:position] + bytes([log[position] ^ change]) + log[position + 1 :]
        for skip_corrupt in (False, True):
            with pytest.raises(LogFormatError, match="not a wandb log") as caught:
                LogReader(skip_corrupt).read_window(changed, True)
            assert caught.value.byte == 0


@pytest.mark.parametrize("change", [0x01, 0xFF])
def test_a_log_of_many_blocks_with_bytes_changed(change: int) -> None:
    # Records of all sorts: in a block, over two of them, over four.
    sizes = [9_000, 9_000, 40_000, 100, 100, 9_000, 100_000, 5_000, 5_000, 30_000, 10, 10]
    log = wire.write_log(record for step, size in enumerate(sizes) for record in step_rows(1, size=size, first=step))
    chunks = Chunks.of(log)
    positions = {begin + offset for begin, _ in chunks.spans for offset in range(10)}
    positions |= set(random.Random(change).sample(range(HEADER_SIZE, len(log)), 60))
    for position in sorted(positions):
        check_changed(log, chunks, position, log[position] ^ change, blocks=1 + position % 3)


@pytest.mark.parametrize("zeros", [1, 6, 7, 8, 100, BLOCK_SIZE, 3 * BLOCK_SIZE + 5])
def test_zeros_behind_the_last_record(zeros: int) -> None:
    """As file systems leave them after a crash: the file was made longer, and never written."""
    log = wire.write_log(step_rows(12, size=10_000))
    chunks = Chunks.of(log)
    for blocks in (1, 4):
        reading = read_log(log + bytes(zeros), blocks=blocks)
        assert steps_of(reading.rows) == list(range(12))
        assert reading.error is None
    # The same behind a record's first chunk; what is lost is named.
    begin = next(begin for begin, end in chunks.records if begin // BLOCK_SIZE < end // BLOCK_SIZE)
    cut = (begin // BLOCK_SIZE + 1) * BLOCK_SIZE
    for blocks in (1, 4):
        reading = read_log(log[:cut] + bytes(zeros), blocks=blocks)
        assert len(reading.rows) == sum(end <= cut for _, end in chunks.records)
        assert reading.error is None
        if zeros % BLOCK_SIZE == 0 or zeros % BLOCK_SIZE >= wire.CHUNK_HEADER_SIZE:
            assert reading.reader.truncated_at == begin
        assert reading.reader.truncated_at is not None


@pytest.mark.parametrize("blocks", [1, 2, 10])
@pytest.mark.parametrize("zeroed", [1, 2, 3, 4])
def test_a_block_of_zeros_amid_the_log(zeroed: int, blocks: int) -> None:
    """Rows that zeros took the place of are missed, whether a record's middle is gone or whole records are."""
    for sizes in ([50_000] * 6, [9_000] * 30, [200_000, 10, 10], [8_000] * 3 + [150_000] + [9] * 10):
        log = wire.write_log(
            record for step, size in enumerate(sizes) for record in step_rows(1, size=size, first=step)
        )
        start, end = zeroed * BLOCK_SIZE, (zeroed + 1) * BLOCK_SIZE
        assert end < len(log)
        damaged = log[:start] + bytes(BLOCK_SIZE) + log[end:]
        chunks = Chunks.of(log)
        before = [index for index, (_, record_end) in enumerate(chunks.records) if record_end <= start]
        behind = [index for index, (begin, _) in enumerate(chunks.records) if begin >= end]
        reading = read_log(damaged, blocks=blocks)
        assert steps_of(reading.rows) == before
        assert isinstance(reading.error, LogFormatError)
        assert reading.error.byte in (start, end)
        skipping = read_log(damaged, blocks=blocks, skip_corrupt=True)
        assert steps_of(skipping.rows) in (
            before + behind,
            before + [step for step in behind if chunks.records[step][0] >= end + BLOCK_SIZE],
        )
        assert skipping.reader.corrupt_at


GOOD = step_rows(3)


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        ([wire.chunk(wire.LAST, GOOD[1])], "a chunk begins or goes on with a record where none can"),
        ([wire.chunk(wire.MIDDLE, GOOD[1])], "a chunk begins or goes on with a record where none can"),
        ([wire.chunk(5, GOOD[1])], "a chunk is of no known type"),
        ([wire.chunk(255, GOOD[1])], "a chunk is of no known type"),
        ([wire.chunk(wire.PADDING, GOOD[1])], "a chunk is of no known type"),
        ([wire.chunk(wire.PADDING, b"")], "a chunk is of no known type"),
        ([wire.chunk(wire.FULL, GOOD[1], checksum=0)], "the checksum of a chunk is wrong"),
        ([wire.chunk(wire.FULL, b"\x12\xff")], "is not a protobuf message"),
        ([wire.chunk(wire.FULL, b"\x00")], "is not a protobuf message"),
        ([wire.chunk(wire.FULL, b"x" * 32_755)[:7] + GOOD[1]], "a chunk is longer than its block"),
    ],
)
def test_corrupt_chunks(chunks: list[bytes], fault: str) -> None:
    start = wire.LOG_HEADER + wire.chunk(wire.FULL, GOOD[0])
    log = start + b"".join(chunks) + wire.chunk(wire.FULL, GOOD[2])
    reading = read_log(log)
    assert steps_of(reading.rows) == [0]
    assert isinstance(reading.error, LogFormatError)
    assert fault in str(reading.error)
    assert reading.error.byte == len(start)
    log += bytes(BLOCK_SIZE - len(log) % BLOCK_SIZE)
    skipping = read_log(log + wire.chunk(wire.FULL, step_rows(1, first=9)[0]), skip_corrupt=True)
    assert steps_of(skipping.rows) == [0, 9]
    assert (skipping.error, skipping.reader.corrupt_at) == (None, [len(start)])


@pytest.mark.parametrize("kind", [wire.FULL, wire.FIRST])
def test_a_record_that_begins_within_another(kind: int) -> None:
    first = wire.chunk(wire.FIRST, GOOD[1][:5])
    log = wire.LOG_HEADER + wire.chunk(wire.FULL, GOOD[0]) + first + wire.chunk(kind, GOOD[2])
    reading = read_log(log)
    assert steps_of(reading.rows) == [0]
    assert isinstance(reading.error, LogFormatError)
    assert reading.error.byte == log.index(wire.chunk(kind, GOOD[2]))


def test_many_corrupt_parts_are_all_noted() -> None:
    log = wire.write_log(step_rows(60, size=9_000))
    chunks = Chunks.of(log)
    damaged = bytearray(log)
    expected = []
    for block in range(0, len(log) // BLOCK_SIZE, 3):
        begin, end = next(span for span in chunks.spans if span[0] >= block * BLOCK_SIZE)
        damaged[end - 1] ^= 0xFF
        expected.append(begin)
    for blocks in (1, 2, 50):
        reading = read_log(bytes(damaged), blocks=blocks, skip_corrupt=True)
        assert reading.reader.corrupt_at == expected
        assert reading.error is None
        rows = steps_of(reading.rows)
        assert rows == sorted(set(rows))
        assert 20 <= len(rows) < 60


def test_a_malformed_row_is_an_error_of_that_row_alone() -> None:
    records = step_rows(4)
    records[2] = wire.history_record([("_step", "2"), ("loss", "oops")], 2)
    log = wire.write_log(records)
    page = LogReader().read_window(log, True)
    assert [page.row(index)["_step"] for index in (0, 1, 3)] == [0, 1, 3]
    with pytest.raises(HistoryDecodeError) as caught:
        page.row(2)
    assert (caught.value.row, caught.value.path) == (2, "$.loss")
    assert caught.value.byte == log.index(b"oops")
    assert page.steps() == (0, 3)


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
    assert fingerprint(read_log(log).rows) == fingerprint([{"before": 0, "value": value}] * 4)


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


def as_floats(value: Any) -> Any:
    """A value whose small ints are floats, and which has no negative zero: not every writer keeps 1.0 and 1 apart."""
    if isinstance(value, dict):
        return {key: as_floats(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_floats(element) for element in value]
    return value + 0.0 if type(value) is float or (type(value) is int and abs(value) < 2**53) else value


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
    assert json.dumps(as_floats(rows), sort_keys=True) == json.dumps(as_floats(json_rows), sort_keys=True)


def test_select_steps() -> None:
    log = wire.write_log([*step_rows(20), wire.history_record([("no", "1")])])
    for first, stop in ((0, 100), (5, 9), (19, 20), (7, 7), (9, 2), (-5, 3), (1, 2**62)):
        page = LogReader().read_window(log, True)
        page.select_steps(first, stop)
        # A step that is not written is 0, as everywhere in protobuf.
        steps = [row.get("_step", 0) for row in page.rows()]
        assert steps == [step for step in (*range(20), 0) if first <= step < stop]
        assert page.steps() == ((min(steps), max(steps)) if steps else None)


def test_rows_of_a_page_outlive_the_reader() -> None:
    log = wire.write_log(step_rows(6, size=20_000))
    pages = read_log(log).pages
    del log
    assert [row["_step"] for page in pages for row in page.rows()] == list(range(6))


def test_windows_have_to_be_whole_blocks() -> None:
    log = wire.write_log(step_rows(2))
    with pytest.raises(ValueError, match="whole blocks"):
        LogReader().read_window(log, False)
    reader = LogReader()
    reader.read_window(log, True)
    assert reader.is_finished
    with pytest.raises(ValueError, match="read to its end"):
        reader.read_window(b"", True)
    for wrong in (None, "text", bytearray(log)):
        with pytest.raises(TypeError):
            LogReader().read_window(wrong, True)  # type: ignore[arg-type]


def test_reading_ends_at_corruption() -> None:
    log = wire.LOG_HEADER + wire.chunk(9, b"data") + bytes(2 * BLOCK_SIZE)
    reader = LogReader()
    page = reader.read_window(log[: 2 * BLOCK_SIZE], False)
    assert reader.is_finished
    assert len(page) == 0
    with pytest.raises(LogFormatError):
        page.row(0)


@pytest.mark.parametrize("size", [*range(150), 1000, 4096, 32_761])
def test_checksums(size: int) -> None:
    data = random.Random(size).randbytes(size)
    for kind in (0, 1, 4, 255):
        assert checksum(kind, data) == zlib.crc32(bytes([kind]) + data)


@given(st.binary(max_size=400), st.integers(0, 255))
def test_checksums_of_any_data(data: bytes, kind: int) -> None:
    assert checksum(kind, data) == zlib.crc32(bytes([kind]) + data)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=500, deadline=None)
def test_noise_behind_the_header(noise: bytes, skip_corrupt: bool) -> None:
    reading = read_log(wire.LOG_HEADER + noise, skip_corrupt=skip_corrupt)
    assert reading.rows == []
    assert reading.reader.is_finished
    if skip_corrupt:
        assert reading.error is None


messages = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(step_rows(3))), max_size=5)


@given(messages, st.booleans())
@settings(max_examples=500, deadline=None)
def test_noise_with_the_right_checksum(records: list[bytes], skip_corrupt: bool) -> None:
    reading = read_log(wire.write_log(records), skip_corrupt=skip_corrupt)
    assert all(isinstance(row, dict) for row in reading.rows)
    assert reading.error is None or isinstance(reading.error, HistoryDecodeError)
