"""The reader of `.wandb` logs: chunks, checksums, blocks and damage, against a reader of a page.

The input is a log. A custom mutator repairs the checksums of chunks, so that mutations get past them.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from fuzz.oracles.histories import check_rows, expected_rows
from fuzz.oracles.messages import is_shallow_message
from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.errors import HistoryDecodeError, LogFormatError
from tests.support import wire
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import Reading, read_log

_KEPT = (wire.HISTORY, wire.SUMMARY, wire.CONFIG, wire.RUN, 18)
_HEADER_SIZE = len(wire.LOG_HEADER)


@dataclass
class Contents:
    """What a log of one block has.

    Attributes:
        rows: The messages of its rows.
        others: Its other records, each with its kind.
        corrupt_at: Where it becomes unreadable; None if it does not.
        truncated_at: Where the record begins that the file ends in; None if it ends behind a whole one.
    """

    rows: list[bytes]
    others: list[tuple[int, bytes]]
    corrupt_at: int | None = None
    truncated_at: int | None = None


def check(data: bytes) -> None:
    """Checks a log that is read at once, block by block, and past its damage."""
    if not is_shallow_message(data):
        return
    if data[:_HEADER_SIZE] != wire.LOG_HEADER:
        check_no_log(data)
        return
    whole = read_log(data, blocks=1_000)
    check_windows(data, whole)
    if len(data) <= wire.BLOCK_SIZE:
        check_contents(data, whole)
    skipping = read_log(data, blocks=1_000, skip_corrupt=True)
    if not isinstance(whole.error, LogFormatError) and whole.error is not None:
        # A malformed row in a right record, which skipping leaves as it is.
        assert type(skipping.error) is type(whole.error)
    elif skipping.error is None:
        assert fingerprint(skipping.rows[: len(whole.rows)]) == fingerprint(whole.rows)
        assert bool(skipping.reader.corrupt_at) == (whole.error is not None)


def check_no_log(data: bytes) -> None:
    """Checks that a file without the header is refused."""
    try:
        page = LogReader().read_window(data, True)
    except LogFormatError:
        return
    raise AssertionError(f"the file has no header, but {len(page)} rows")


def check_windows(data: bytes, whole: Reading) -> None:
    """Checks that rows and errors do not depend on the size of windows."""
    for blocks in (1, 2):
        reading = read_log(data, blocks=blocks)
        assert fingerprint(reading.rows) == fingerprint(whole.rows)
        assert type(reading.error) is type(whole.error), (reading.error, whole.error)
        if isinstance(whole.error, HistoryDecodeError) and reading.error is not None:
            assert (reading.error.byte, reading.error.reason) == (whole.error.byte, whole.error.reason)
        assert reading.reader.truncated_at == whole.reader.truncated_at


def check_contents(data: bytes, whole: Reading) -> None:
    """Checks the rows and the other records of a log of one block."""
    contents = contents_of(data)
    page = LogReader().read_window(data, True)
    expected, are_right = expected_rows(contents.rows)
    if contents.corrupt_at is None or not are_right:
        check_rows(page, expected, are_right)
    else:
        assert isinstance(whole.error, LogFormatError), whole.error
        assert whole.error.byte == contents.corrupt_at, (whole.error, contents.corrupt_at)
        assert fingerprint(whole.rows) == fingerprint(expected)
    assert whole.reader.truncated_at == contents.truncated_at
    for kind in _KEPT[1:]:
        assert page.records(kind) == [record for found, record in contents.others if found == kind]


def contents_of(data: bytes) -> Contents:
    """Reads a log of one block as LevelDB's documentation has it, and wandb writes it."""
    contents = Contents([], [])
    place = _HEADER_SIZE
    record, begin = b"", -1
    while len(data) - place > 0 and wire.BLOCK_SIZE - place >= wire.CHUNK_HEADER_SIZE:
        if len(data) - place < wire.CHUNK_HEADER_SIZE:
            contents.truncated_at = begin if begin >= 0 else place
            return contents
        checksum, length, kind = struct.unpack_from("<IHB", data, place)
        end = place + wire.CHUNK_HEADER_SIZE + length
        if kind == wire.PADDING and checksum == 0 and length == 0:
            # Zeros are what a file system leaves behind the last write, and an error anywhere else.
            contents.corrupt_at = place if any(data[place:]) else None
            break
        content = data[place + wire.CHUNK_HEADER_SIZE : end]
        if end > wire.BLOCK_SIZE:
            contents.corrupt_at = place
            return contents
        if end > len(data):
            contents.truncated_at = begin if begin >= 0 else place
            return contents
        is_first = kind in (wire.FULL, wire.FIRST)
        if checksum != zlib.crc32(data[place + 6 : end]) or not wire.FULL <= kind <= wire.LAST:
            contents.corrupt_at = place
            return contents
        if is_first == (begin >= 0):
            contents.corrupt_at = place
            return contents
        begin = place if is_first else begin
        record = content if is_first else record + content
        if kind in (wire.FULL, wire.LAST):
            if not add_record(contents, record):
                contents.corrupt_at = place
                return contents
            begin = -1
        place = end
    if begin >= 0 and contents.corrupt_at is None:
        contents.truncated_at = begin
    return contents


def add_record(contents: Contents, record: bytes) -> bool:
    """Adds a record by its first field of a kind that is kept; returns False if it is malformed before that."""
    place = 0
    while place < len(record):
        found = read_field(record, place)
        if found is None:
            return False
        number, payload, place = found
        if number in _KEPT and payload is not None:
            if number == wire.HISTORY:
                contents.rows.append(payload)
            else:
                contents.others.append((number, payload))
            return True
    return True


def read_varint(data: bytes, place: int, most: int = 10) -> tuple[int, int] | None:
    """Reads a varint; returns its value and its end."""
    value = 0
    for count in range(most):
        if place + count >= len(data):
            return None
        value |= (data[place + count] & 0x7F) << 7 * count
        if data[place + count] < 0x80:
            return value & 2**64 - 1, place + count + 1
    return None


def read_field(data: bytes, place: int, *, depth: int = 0) -> tuple[int, bytes | None, int] | None:
    """Reads a field; returns its number, its payload if that has a length, and its end. None if it is malformed."""
    tag = read_varint(data, place, 5)
    if tag is None or tag[0] > 2**32 - 1 or (tag[0] >> 3 == 0 and depth == 0):
        return None
    (number, kind), place = divmod(tag[0], 8), tag[1]
    if kind == wire.VARINT:
        varint = read_varint(data, place)
        return None if varint is None else (number, None, varint[1])
    if kind in (wire.FIXED64, wire.FIXED32):
        place += 8 if kind == wire.FIXED64 else 4
        return (number, None, place) if place <= len(data) else None
    if kind == wire.LENGTH_DELIMITED:
        length = read_varint(data, place, 5)
        if length is None or length[0] >= 2**31 or length[0] > len(data) - length[1]:
            return None
        return number, data[length[1] : length[1] + length[0]], length[1] + length[0]
    if kind != wire.GROUP_START or depth == 100:
        return None
    while True:
        tag = read_varint(data, place, 5)
        if tag is not None and tag[0] & 7 == wire.GROUP_END:
            return (number, None, tag[1]) if tag[0] >> 3 == number else None
        found = read_field(data, place, depth=depth + 1)
        if found is None:
            return None
        place = found[2]


def repair(data: bytes) -> bytes:
    """Returns a log whose header and checksums are right, as far as its chunks can be found."""
    log = bytearray(wire.LOG_HEADER + data[_HEADER_SIZE:])
    place = _HEADER_SIZE
    while len(log) - place > wire.CHUNK_HEADER_SIZE:
        left = wire.BLOCK_SIZE - place % wire.BLOCK_SIZE
        if left < wire.CHUNK_HEADER_SIZE:
            place += left
            continue
        length = int.from_bytes(log[place + 4 : place + 6], "little")
        end = place + wire.CHUNK_HEADER_SIZE + length
        if length == 0 and log[place + 6] == wire.PADDING:
            place += left
        elif end > min(len(log), place + left):
            # The last chunk of the block, whatever its length was.
            end = min(len(log), place + left)
            log[place + 4 : place + 6] = (end - place - wire.CHUNK_HEADER_SIZE).to_bytes(2, "little")
        if end <= len(log) and place < end:
            log[place : place + 4] = zlib.crc32(log[place + 6 : end]).to_bytes(4, "little")
        place = max(end, place + 1)
    return bytes(log)


__all__ = ["LogPage", "check", "repair"]
