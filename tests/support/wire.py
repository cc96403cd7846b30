"""Protobuf messages and `.wandb` logs written byte by byte, so that they can be written wrong."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

VARINT, FIXED64, LENGTH_DELIMITED, GROUP_START, GROUP_END, FIXED32 = range(6)

HISTORY, SUMMARY, CONFIG, RUN = 2, 3, 5, 17
"""Numbers of fields in wandb's `Record`."""

LOG_HEADER = b":W&B\xe1\xbe\x00"
BLOCK_SIZE = 32_768
CHUNK_HEADER_SIZE = 7
PADDING, FULL, FIRST, MIDDLE, LAST = range(5)

Item = tuple[str | Sequence[str], str]
"""A key, or a path of nested keys, and the JSON text of the value."""


def varint(value: int, *, length: int = 0) -> bytes:
    """A varint of `value`, modulo 2**64 as protobuf has negative ones; made over-long to have `length` bytes."""
    value &= 2**64 - 1
    encoded = bytearray()
    while value >= 0x80 or len(encoded) + 1 < length:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def tag(number: int, wire_type: int) -> bytes:
    """The tag of a field."""
    return varint(number << 3 | wire_type)


def field(number: int, payload: bytes | str) -> bytes:
    """A length-delimited field: bytes, a string or a message."""
    data = payload.encode() if isinstance(payload, str) else payload
    return tag(number, LENGTH_DELIMITED) + varint(len(data)) + data


def varint_field(number: int, value: int) -> bytes:
    """A field that is a varint."""
    return tag(number, VARINT) + varint(value)


def fixed64_field(number: int, value: float) -> bytes:
    """A field that is a double."""
    return tag(number, FIXED64) + struct.pack("<d", value)


def fixed32_field(number: int, value: int) -> bytes:
    """A field that is a fixed32."""
    return tag(number, FIXED32) + struct.pack("<I", value)


def group(number: int, content: bytes = b"") -> bytes:
    """A group, protobuf's old way of nesting."""
    return tag(number, GROUP_START) + content + tag(number, GROUP_END)


def item(key: str | Sequence[str], value_json: bytes | str) -> bytes:
    """A `ParquetHistoryItem`; with a path of keys, a `HistoryItem`, `SummaryItem` or `ConfigItem`."""
    keys = field(1, key) if isinstance(key, str) else b"".join(field(2, name) for name in key)
    return keys + field(16, value_json)


def page(rows: Iterable[Iterable[tuple[str, bytes | str]]]) -> bytes:
    """A `RunHistoryResponse`."""
    return b"".join(field(1, b"".join(field(1, item(key, text)) for key, text in row)) for row in rows)


def history_record(items: Iterable[tuple[str | Sequence[str], bytes | str]], step: int | None = None) -> bytes:
    """A `Record` with a row of history, in which names of nested keys stand apart."""
    history = b"".join(field(1, item(key, text)) for key, text in items)
    if step is not None:
        history += field(2, varint_field(1, step))
    return field(HISTORY, history)


def update_record(kind: int, updates: Iterable[Item] = (), removals: Iterable[str | Sequence[str]] = ()) -> bytes:
    """A `Record` with changes of the summary or of the config."""
    content = b"".join(field(1, item(key, text)) for key, text in updates)
    for key in removals:
        content += field(2, field(1, key) if isinstance(key, str) else b"".join(field(2, name) for name in key))
    return field(kind, content)


def run_record(
    run_id: str, *, entity: str = "", project: str = "", config: bytes = b"", started: int | None = None
) -> bytes:
    """A `Record` with a run, which started at a time in seconds."""
    parts = field(1, run_id) + field(2, entity) + field(3, project)
    parts += field(4, config) if config else b""
    return field(RUN, parts + (b"" if started is None else field(17, varint_field(1, started))))


def chunk(kind: int, data: bytes, *, checksum: int | None = None) -> bytes:
    """A chunk of a log, with the right checksum if none is given."""
    if checksum is None:
        checksum = zlib.crc32(bytes([kind]) + data)
    return struct.pack("<IHB", checksum, len(data), kind) + data


def append_record(log: bytes, record: bytes) -> bytes:
    """A log with one more record, laid out as wandb lays it out."""
    left = BLOCK_SIZE - len(log) % BLOCK_SIZE
    if left < CHUNK_HEADER_SIZE:
        log += bytes(left)
        left = BLOCK_SIZE
    if CHUNK_HEADER_SIZE + len(record) <= left:
        return log + chunk(FULL, record)
    parts = [log]
    kind = FIRST
    while True:
        room = left - CHUNK_HEADER_SIZE
        if kind != FIRST and len(record) <= room:
            return b"".join((*parts, chunk(LAST, record)))
        parts.append(chunk(kind, record[:room]))
        record = record[room:]
        kind = MIDDLE
        left = BLOCK_SIZE


def write_log(records: Iterable[bytes]) -> bytes:
    """A whole log of these records."""
    log = bytearray(LOG_HEADER)
    for record in records:
        # Only the last block matters, so that large logs are made in linear time.
        start = len(log) - len(log) % BLOCK_SIZE
        log[start:] = append_record(bytes(log[start:]), record)
    return bytes(log)


def shift_blocks(records: list[bytes]) -> bytes:
    """A log as wandb-core before 0.17.6 laid it out: its blocks begin behind the header."""
    body = b""
    for record in records:
        body = append_record(body, record)
    return LOG_HEADER + body
