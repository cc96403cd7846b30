"""Where in a row an error is, as a JSONPath: worked out only once there is an error."""

from __future__ import annotations

import json
import re

__all__ = ["locate_item", "locate_value", "member_path"]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(rb'[\s]+|"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def _member(name: str) -> str:
    """Spells the step from an object to a member."""
    return f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{name!r}]"


def member_path(name: str) -> str:
    """Names the place of a key's value in a row.

    Args:
        name: The key.

    Returns:
        The JSONPath.
    """
    return "$" + _member(name)


def _name(mark: bytes) -> str:
    """Resolves the escapes of a key in quotes, as far as possible."""
    text = mark.decode("utf-8", "replace")
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]


def locate_value(text: bytes, byte: int | None) -> str:
    """Names the place of a byte in JSON text that need not be well-formed.

    Args:
        text: The JSON text.
        byte: Offset of the byte in it.

    Returns:
        The JSONPath of the innermost value that holds the byte, ``"$"`` for the text as a whole.
    """
    steps: list[str | int | None] = []
    key_is_due: list[bool] = []
    for token in _TOKEN.finditer(text):
        if byte is None or token.end() > byte:
            break
        mark = token.group()
        if mark == b"{":
            steps.append(None)
            key_is_due.append(True)
        elif mark == b"[":
            steps.append(0)
            key_is_due.append(False)
        elif mark in (b"}", b"]"):
            if steps:
                steps.pop()
                key_is_due.pop()
        elif mark == b"," and steps:
            last = steps[-1]
            if isinstance(last, int):
                steps[-1] = last + 1
            else:
                steps[-1] = None
                key_is_due[-1] = True
        elif mark.startswith(b'"') and steps and key_is_due[-1]:
            steps[-1] = _name(mark)
            key_is_due[-1] = False
    # Where a key is still expected, the place is the object itself.
    path = "".join(f"[{step}]" if isinstance(step, int) else _member(step) for step in steps if step is not None)
    return f"${path}"


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Reads a varint: its value, and the position after it."""
    value = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise ValueError("truncated varint")


def _fields(message: bytes) -> list[tuple[int, int, int]]:
    """The field number, begin and end of each length-delimited field, as far as the message can be read."""
    found: list[tuple[int, int, int]] = []
    position = 0
    try:
        while position < len(message):
            tag, position = _varint(message, position)
            if tag & 7 == 0:
                _, position = _varint(message, position)
            elif tag & 7 == 1:
                position += 8
            elif tag & 7 == 5:
                position += 4
            elif tag & 7 == 2:
                length, position = _varint(message, position)
                found.append((tag >> 3, position, position + length))
                position += length
            else:
                break
    except ValueError:
        pass
    return found


def locate_item(row: bytes, byte: int | None) -> str:
    """Names the place of a byte in a row that is a protobuf message of items.

    Args:
        row: The bytes of a ``HistoryRow`` or ``HistoryRecord``, which need not be well-formed.
        byte: Offset of the byte in them.

    Returns:
        The JSONPath of the item, and of the place in its JSON value if that is where the byte is.
    """
    if byte is None:
        return "$"
    for number, begin, end in _fields(row):
        if number != 1 or not begin <= byte <= end:
            continue
        item = row[begin:end]
        names: list[bytes] = []
        inner = "$"
        for field, value_begin, value_end in _fields(item):
            if field in (1, 2):
                names.append(item[value_begin:value_end])
            elif field == 16 and value_begin <= byte - begin <= value_end:
                inner = locate_value(item[value_begin:value_end], byte - begin - value_begin)
        return "$" + "".join(_member(name.decode("utf-8", "replace")) for name in names) + inner[1:]
    return "$"
