"""What an oracle makes of a fuzzer's bytes: numbers, texts, rows.

0xFE and 0xFF are never part of UTF-8, so they separate texts: no text can contain one, and a mutation that inserts one
makes two texts of one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

from tests.support.json_corpus import is_json

ROW_END, PART_END = b"\xff", b"\xfe"

_DEEPEST = 400
"""Brackets in a text: CPython and the core both end at about a thousand levels, but not at the same one."""


class Input:
    """The bytes of an input, taken from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def byte(self) -> int:
        """Returns the next byte; 0 if there are no more."""
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        """Returns the next bytes, with zeros for those that there are not."""
        taken = self._data[self._place : self._place + count]
        self._place += count
        return taken.ljust(count, b"\0")

    def int64(self) -> int:
        """Returns the next eight bytes as an integer with a sign."""
        number: int = struct.unpack("<q", self.take(8))[0]
        return number

    def rest(self) -> bytes:
        """Returns all other bytes."""
        rest = self._data[self._place :]
        self._place = len(self._data)
        return rest


def as_text(data: bytes) -> str:
    """Returns bytes as text of any characters, also lone surrogates."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def texts_of(data: bytes) -> list[str]:
    """Returns the texts between separators."""
    return [as_text(part) for part in data.split(ROW_END)]


def rows_of_pairs(data: bytes) -> list[list[tuple[str, str]]]:
    """Returns rows of keys and JSON texts. A row is a key, a text, a key, a text and so on; a lone key has null."""
    rows = []
    for row in data.split(ROW_END):
        parts = [as_text(part) for part in row.split(PART_END)]
        rows.append([(key, text) for key, text in zip(parts[::2], [*parts[1::2], "null"], strict=False)])
    return rows


def messages_of(data: bytes) -> list[bytes]:
    """Returns messages, each after its length in two bytes; the last may be shorter."""
    messages = []
    place = 0
    while len(data) - place >= 2:
        length = int.from_bytes(data[place : place + 2], "little")
        messages.append(data[place + 2 : place + 2 + length])
        place += 2 + length
    return messages


def join_messages(messages: Sequence[bytes]) -> bytes:
    """Returns the input that `messages_of` reads as these messages."""
    return b"".join(len(message).to_bytes(2, "little") + message for message in messages)


def is_shallow(text: str) -> bool:
    """Returns True if a text cannot be nested so deeply that CPython's limit decides."""
    return text.count("[") + text.count("{") < _DEEPEST


def is_value(text: str) -> bool:
    """Returns True if a text is a JSON value."""
    return is_shallow(text) and is_json(text)


def values_of(texts: Sequence[str]) -> tuple[list[object], int | None]:
    """Returns the values of texts up to the first that is not JSON, and the place of that one; None if all are."""
    values: list[object] = []
    for place, text in enumerate(texts):
        if not is_json(text):
            return values, place
        values.append(json.loads(text))
    return values, None
