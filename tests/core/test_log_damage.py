"""Logs cut short and logs with wrong bytes: every row that is there, never one that is not, and a word on the rest."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histscan._core.pages.log_reader import BLOCK_SIZE, LogReader
from histscan.errors import HistoryDecodeError, LogFormatError
from tests.support import wire
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import read_log, step_rows, steps_of

HEADER_SIZE = len(wire.LOG_HEADER)


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
    log = wire.write_log(step_rows(range(12), size=20))
    chunks = Chunks.of(log)
    for length in range(HEADER_SIZE, len(log) + 1):
        check_cut(log, chunks, length)
    for length in range(HEADER_SIZE):
        with pytest.raises(LogFormatError, match="empty" if length == 0 else "header") as caught:
            LogReader().read_window(log[:length], True)
        assert caught.value.byte == 0


def test_a_log_of_many_blocks_cut_anywhere() -> None:
    log = wire.write_log(step_rows(range(9), size=20_000))
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
    log = wire.write_log(step_rows(range(8), size=10))
    chunks = Chunks.of(log)
    for position in range(HEADER_SIZE, len(log)):
        check_changed(log, chunks, position, log[position] ^ change)
    for position in range(HEADER_SIZE):
        changed = log[:position] + bytes([log[position] ^ change]) + log[position + 1 :]
        for skip_corrupt in (False, True):
            is_version = position == HEADER_SIZE - 1
            words = f"version {change} is newer" if is_version else "not a wandb log"
            with pytest.raises(LogFormatError, match=words) as caught:
                LogReader(skip_corrupt).read_window(changed, True)
            assert caught.value.byte == (position if is_version else 0)


@pytest.mark.parametrize("change", [0x01, 0xFF])
def test_a_log_of_many_blocks_with_bytes_changed(change: int) -> None:
    # Records of all sorts: in a block, over two of them, over four.
    sizes = [9_000, 9_000, 40_000, 100, 100, 9_000, 100_000, 5_000, 5_000, 30_000, 10, 10]
    log = wire.write_log(record for step, size in enumerate(sizes) for record in step_rows([step], size=size))
    chunks = Chunks.of(log)
    positions = {begin + offset for begin, _ in chunks.spans for offset in range(10)}
    positions |= set(random.Random(change).sample(range(HEADER_SIZE, len(log)), 60))
    for position in sorted(positions):
        check_changed(log, chunks, position, log[position] ^ change, blocks=1 + position % 3)


@pytest.mark.parametrize("zeros", [1, 6, 7, 8, 100, BLOCK_SIZE, 3 * BLOCK_SIZE + 5])
def test_zeros_behind_the_last_record(zeros: int) -> None:
    """As file systems leave them after a crash: the file was made longer, and never written."""
    log = wire.write_log(step_rows(range(12), size=10_000))
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
        log = wire.write_log(record for step, size in enumerate(sizes) for record in step_rows([step], size=size))
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


GOOD = step_rows(range(3))


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        ([wire.chunk(wire.LAST, GOOD[1])], "the first, middle and last chunks of a record are out of order"),
        ([wire.chunk(wire.MIDDLE, GOOD[1])], "the first, middle and last chunks of a record are out of order"),
        ([wire.chunk(5, GOOD[1])], "a chunk has an unknown type"),
        ([wire.chunk(255, GOOD[1])], "a chunk has an unknown type"),
        ([wire.chunk(wire.PADDING, GOOD[1])], "a chunk has an unknown type"),
        ([wire.chunk(wire.PADDING, b"")], "a chunk has an unknown type"),
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
    skipping = read_log(log + wire.chunk(wire.FULL, step_rows([9])[0]), skip_corrupt=True)
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
    log = wire.write_log(step_rows(range(60), size=9_000))
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


def test_reading_ends_at_corruption() -> None:
    log = wire.LOG_HEADER + wire.chunk(9, b"data") + bytes(2 * BLOCK_SIZE)
    reader = LogReader()
    page = reader.read_window(log[: 2 * BLOCK_SIZE], False)
    assert reader.is_finished
    assert len(page) == 0
    with pytest.raises(LogFormatError):
        page.row(0)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=500)
def test_noise_behind_the_header(noise: bytes, skip_corrupt: bool) -> None:
    reading = read_log(wire.LOG_HEADER + noise, skip_corrupt=skip_corrupt)
    assert reading.rows == []
    assert reading.reader.is_finished
    if skip_corrupt:
        assert reading.error is None


messages = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(step_rows(range(3)))), max_size=5)


@given(messages, st.booleans())
@settings(max_examples=500)
def test_noise_with_the_right_checksum(records: list[bytes], skip_corrupt: bool) -> None:
    reading = read_log(wire.write_log(records), skip_corrupt=skip_corrupt)
    assert all(isinstance(row, dict) for row in reading.rows)
    assert reading.error is None or isinstance(reading.error, HistoryDecodeError)
