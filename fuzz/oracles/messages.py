"""wandb's messages as google.protobuf reads them, and the rows in them by `json.loads`.

What the core reads only if it needs it is bytes here: the `step` message of a row that has a `_step` item, and a typed
value beside one in JSON.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from fuzz.inputs import is_shallow
from tests.support.nested_values import path_of, put

_TYPES = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "sint64": FieldDescriptorProto.TYPE_SINT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}

# Message name → its fields as (type, name, number); "*" marks a repeated one, "|" a member of the message's oneof.
_MESSAGES = {
    "Page": [("*Row", "rows", 1)],
    "Row": [("*Cell", "cells", 1)],
    "Cell": [("string", "key", 1), ("string", "value_json", 16)],
    "History": [("*Item", "item", 1), ("*bytes", "step", 2)],
    "Update": [("*Item", "update", 1), ("*Item", "remove", 2)],
    "Item": [
        ("string", "key", 1),
        ("*string", "nested_key", 2),
        ("|bool", "none", 3),
        ("|bool", "boolean", 4),
        ("|sint64", "integer", 5),
        ("|double", "number", 6),
        ("|bytes", "text", 7),
        ("|bytes", "json", 8),
        ("string", "value_json", 16),
    ],
    "Step": [("int64", "num", 1)],
}


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="fuzz.proto", package="fuzz", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = DescriptorProto(name=name)
        for kind, field_name, number in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = FieldDescriptorProto.LABEL_REPEATED if kind[0] == "*" else FieldDescriptorProto.LABEL_OPTIONAL
            if kind[0] == "|":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value_typed")
                field.oneof_index = 0
            type_name = kind.lstrip("*|")
            if type_name in _TYPES:
                field.type = _TYPES[type_name]
            else:
                field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".fuzz.{type_name}"
        file.message_type.append(message)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"fuzz.{name}")) for name in _MESSAGES}


_CLASSES = _classes()


class NoRowError(ValueError):
    """The oracle refuses the message."""


def parse(name: str, data: bytes) -> Any:
    """Parses a message.

    Raises:
        NoRowError: protobuf refuses it.
    """
    try:
        return _CLASSES[name].FromString(data)
    except DecodeError as error:
        raise NoRowError(str(error)) from None


def value_of(text: str) -> Any:
    """Returns the value of a JSON text.

    Raises:
        NoRowError: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoRowError(str(error)) from None


def item_value(item: Any) -> Any:
    """Returns the value of an item: that in JSON, or a typed one where there is no text.

    Raises:
        NoRowError: It is not JSON, or not UTF-8.
    """
    kind = item.WhichOneof("value_typed")
    if item.value_json or kind is None:
        return value_of(item.value_json)
    value = getattr(item, kind)
    if kind == "none":
        return None
    if not isinstance(value, bytes):
        return value
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise NoRowError(str(error)) from None
    return value_of(text) if kind == "json" else text


def page_rows(data: bytes) -> list[dict[str, Any]]:
    """Returns the rows of a service's page.

    Raises:
        NoRowError: protobuf refuses the page, or `json` a value.
    """
    page = parse("Page", data)
    return [{cell.key: value_of(cell.value_json) for cell in row.cells} for row in page.rows]


def history_row(data: bytes) -> dict[str, Any]:
    """Returns the row of a `HistoryRecord`.

    Raises:
        NoRowError: protobuf refuses the record, or `json` a value.
    """
    row: dict[str, Any] = {}
    for item in parse("History", data).item:
        put(row, path_of(item), item_value(item))
    return row


def step_message(history: Any) -> int | None:
    """Returns the number of a row's `step` message; None without one.

    Raises:
        NoRowError: protobuf refuses the message.
    """
    for message in history.step:
        parse("Step", message)
    # Of several messages the last number counts, as messages merge; each must be whole by itself.
    return int(parse("Step", b"".join(history.step)).num) if history.step else None


def is_shallow_message(data: bytes) -> bool:
    """Returns True if no text in a message can be nested so deeply that CPython's limit decides."""
    return is_shallow(data.decode("latin-1"))
