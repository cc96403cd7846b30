"""Arrow tables of every type that a history has, the rows that they mean, and ways to damage them."""

from __future__ import annotations

import base64
import ctypes
import datetime
import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow
from hypothesis import strategies as st

Row = dict[str, Any]

ZONE = datetime.timezone.utc
MOMENT = datetime.datetime(1969, 12, 31, 23, 59, 59, 250_000)
JSON_TEXT = ['{"a":{"b":1}}', None, "[1,NaN]", "null"]

SAMPLES: dict[str, Any] = {
    "bool": pyarrow.array([True, None, False]),
    "int8": pyarrow.array([-(2**7), None, 2**7 - 1], pyarrow.int8()),
    "uint8": pyarrow.array([0, None, 2**8 - 1], pyarrow.uint8()),
    "int16": pyarrow.array([-(2**15), None, 2**15 - 1], pyarrow.int16()),
    "uint16": pyarrow.array([0, None, 2**16 - 1], pyarrow.uint16()),
    "int32": pyarrow.array([-(2**31), None, 2**31 - 1], pyarrow.int32()),
    "uint32": pyarrow.array([0, None, 2**32 - 1], pyarrow.uint32()),
    "int64": pyarrow.array([-(2**63), None, 2**63 - 1], pyarrow.int64()),
    "uint64": pyarrow.array([0, None, 2**64 - 1], pyarrow.uint64()),
    "half": pyarrow.array([-0.0, 2.0**-24, 65504.0, math.nan, -math.inf, 1.5, None], pyarrow.float16()),
    "float": pyarrow.array([0.1, None, math.nan, -math.inf], pyarrow.float32()),
    "double": pyarrow.array([0.1, None, math.nan, -0.0, 1.0]),
    "text": pyarrow.array(["", None, 'é "quoted"\n', "\x00"]),
    "large text": pyarrow.array(["a", None, "€"], pyarrow.large_string()),
    "binary": pyarrow.array([b"", None, b"\xff\x00"]),
    "large binary": pyarrow.array([b"abc", None], pyarrow.large_binary()),
    "fixed binary": pyarrow.array([b"abcd", None], pyarrow.binary(4)),
    "list": pyarrow.array([[1, None], None, []]),
    "large list": pyarrow.array([[1.5, math.nan], None, []], pyarrow.large_list(pyarrow.float64())),
    "fixed list": pyarrow.array([["a", None], None, ["b", "c"]], pyarrow.list_(pyarrow.string(), 2)),
    "struct": pyarrow.array([{"a": 1, "b": {"c": [None]}}, None, {"a": None, "b": {"c": None}}]),
    "empty struct": pyarrow.array([{}, None], pyarrow.struct([])),
    "list of structs": pyarrow.array([[{"a": 1}, None, {"a": None}], None]),
    "dictionary": pyarrow.array(["x", None, "y", "x"]).dictionary_encode(),
    "dictionary of numbers": pyarrow.array([1.5, None, 2.5, 1.5]).dictionary_encode(),
    "null": pyarrow.nulls(3),
    "day": pyarrow.array([datetime.date(1, 1, 1), None, datetime.date(2024, 2, 29), datetime.date(9999, 12, 31)]),
    "day in milliseconds": pyarrow.array([datetime.date(1969, 12, 31), None], pyarrow.date64()),
    "time in seconds": pyarrow.array([datetime.time(23, 59, 59), None], pyarrow.time32("s")),
    "time in milliseconds": pyarrow.array([datetime.time(0, 0, 1, 5_000), None], pyarrow.time32("ms")),
    "time in microseconds": pyarrow.array([datetime.time(12, 0, 0, 1), None], pyarrow.time64("us")),
    "timestamp in seconds": pyarrow.array([MOMENT.replace(microsecond=0), None], pyarrow.timestamp("s")),
    "timestamp in milliseconds": pyarrow.array([MOMENT, None], pyarrow.timestamp("ms")),
    "timestamp in microseconds": pyarrow.array([MOMENT, None], pyarrow.timestamp("us")),
    "timestamp in UTC": pyarrow.array([MOMENT.replace(tzinfo=ZONE), None], pyarrow.timestamp("us", "UTC")),
    "json": pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(JSON_TEXT)),
    "large json": pyarrow.ExtensionArray.from_storage(
        pyarrow.json_(pyarrow.large_string()), pyarrow.array(JSON_TEXT, pyarrow.large_string())
    ),
}


def expected_rows(table: Any) -> list[Row]:
    """What the rows of a table are, by pyarrow's own conversion; tables without times in zones or nanoseconds."""
    fields = dict(zip(table.schema.names, table.schema, strict=True))
    columns = {name: _cells(column) for name, column in zip(table.schema.names, table.columns, strict=True)}
    # A null of JSON is a value, one of Arrow is none.
    rows = [
        {name: _value(cells[place], fields[name]) for name, cells in columns.items() if cells[place] is not None}
        for place in range(len(table))
    ]
    for row in rows:
        if "_step" in row:
            row["_step"] = int(row["_step"])
    return rows


def same(rows: Any, expected: Any) -> bool:
    """Returns True if values are equal, with the same types and order of keys; NaN is equal to itself."""
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
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


VALUES: list[tuple[Any, Any]] = [
    (pyarrow.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pyarrow.uint64(), st.integers(0, 2**64 - 1)),
    (pyarrow.int16(), st.integers(-(2**15), 2**15 - 1)),
    (pyarrow.float64(), st.floats()),
    (pyarrow.float32(), st.floats(width=32)),
    (pyarrow.bool_(), st.booleans()),
    (pyarrow.string(), st.text(max_size=10)),
    (pyarrow.large_string(), st.text(max_size=10)),
    (pyarrow.binary(), st.binary(max_size=10)),
    (pyarrow.date32(), st.dates()),
    (pyarrow.timestamp("us"), st.datetimes()),
    (pyarrow.time64("us"), st.times()),
]


def nested(children: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    def struct_of(members: dict[str, tuple[Any, Any]]) -> tuple[Any, Any]:
        kind = pyarrow.struct([pyarrow.field(name, member[0]) for name, member in members.items()])
        return kind, st.fixed_dictionaries({name: st.none() | member[1] for name, member in members.items()})

    def list_of(item: tuple[Any, Any]) -> tuple[Any, Any]:
        return pyarrow.list_(item[0]), st.lists(st.none() | item[1], max_size=3)

    def fixed_list_of(item: tuple[Any, Any]) -> tuple[Any, Any]:
        return pyarrow.list_(item[0], 2), st.lists(st.none() | item[1], min_size=2, max_size=2)

    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=3)
    return (
        children.map(list_of)
        | children.map(fixed_list_of)
        | st.dictionaries(names, children, min_size=1, max_size=3).map(struct_of)
    )


TYPES = st.recursive(st.sampled_from(VALUES), nested, max_leaves=4)


@st.composite
def tables(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(0, 6))
    columns = draw(st.lists(TYPES, max_size=4))
    arrays = [
        pyarrow.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
        for kind, values in columns
    ]
    table = pyarrow.table({f"column {place}": array for place, array in enumerate(arrays)})
    if not columns:
        return table
    first = draw(st.integers(0, rows))
    return table.slice(first, draw(st.integers(0, rows - first)))


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
