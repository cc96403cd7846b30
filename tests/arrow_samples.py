"""Arrow tables of every type that a history has, the rows that they mean, and ways to damage them."""

from __future__ import annotations

import base64
import ctypes
import json
from collections.abc import Callable
from datetime import date, time
from typing import Any

import pyarrow

Row = dict[str, Any]


def expected_rows(table: Any) -> list[Row]:
    """What the rows of a table are, by pyarrow's own conversion; tables without times in zones or nanoseconds."""
    columns = {
        name: [_value(cell, field) for cell in _cells(column)]
        for name, field, column in zip(table.schema.names, table.schema, table.columns, strict=True)
    }
    rows = [
        {name: cells[place] for name, cells in columns.items() if cells[place] is not None}
        for place in range(len(table))
    ]
    for row in rows:
        if "_step" in row:
            row["_step"] = int(row["_step"])
    return rows


def same(rows: Any, expected: Any) -> bool:
    """Whether values are equal, of the same types, and their keys in the same order; NaN is equal to itself."""
    return repr(rows) == repr(expected)


def _cells(column: Any) -> list[Any]:
    if isinstance(column.type, pyarrow.BaseExtensionType):
        column = pyarrow.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    cells: list[Any] = column.to_pylist()
    return cells


def _value(cell: Any, field: Any) -> Any:
    if cell is not None and getattr(field.type, "extension_name", None) == "arrow.json":
        return json.loads(cell)
    return plain(cell)


def plain(value: Any) -> Any:
    """A value of pyarrow's as rows have it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, date | time) else value


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


class _Array(ctypes.Structure):
    pass


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class Tampered:
    """A record batch whose structures of the C data interface are changed on their way.

    Args:
        batch: The record batch.
        tamper: Changes the structures of the first column: its schema and its array.
    """

    def __init__(self, batch: Any, tamper: Callable[[Any, Any], object]) -> None:
        self._batch = batch
        self._tamper = tamper
        self._kept: list[object] = []

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        schema, array = self._batch.__arrow_c_array__()
        root = ctypes.cast(_get_pointer(schema, b"arrow_schema"), ctypes.POINTER(_Schema)).contents
        data = ctypes.cast(_get_pointer(array, b"arrow_array"), ctypes.POINTER(_Array)).contents
        self._kept.append(self._tamper(root.children[0].contents, data.children[0].contents))
        return schema, array
