"""Rows made into columns, columns made into rows again, and what the columns' types should be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.formats import HistoryPage, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.log_reader import LogReader
from histscan._core.pages.page import Page
from histscan.columns.chunks import build_chunks
from histscan.common.json_fields import is_json
from histscan.common.keys import lead_columns
from tests.support import wire
from tests.support.encodings import history_body, log_page, sampled_body, spell_every_unit, spell_plainly
from tests.support.json_corpus import fingerprint, is_utf8
from tests.support.log_samples import Row, with_steps

Pairs = Sequence[tuple[str, str]]
"""A row as its keys and the JSON texts of their values, in order."""

JSON, FLOATS, TEXT = "JSON text", "double", "string"
INT_LISTS, FLOAT_LISTS = "list<item: int64>", "list<item: double>"
"""Types as pyarrow writes them, and of text whose metadata say that it is JSON."""

NUMBER_TEXTS = ("NaN", "Infinity", "-Infinity")


def row_text(pairs: Pairs) -> str:
    """Writes a row as a JSON object."""
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in pairs) + "}"


def spaced_row_text(pairs: Pairs) -> str:
    """The same with white space wherever it may be, and the keys' letters not escaped."""
    return "{" + ",".join(f"\n {spell_plainly(key)}\t: {text} \r\n" for key, text in pairs) + " }"


def write_rows(rows: Sequence[Pairs], first: int = 0, *, nested: bool = False) -> bytes:
    """Writes rows as a log; the numbers of their `step` messages count from `first`."""
    return wire.write_log(
        wire.history_record([([key] if nested else key, text) for key, text in row], step)
        for step, row in enumerate(rows, first)
    )


def windows_of(log: bytes, size: int = wire.BLOCK_SIZE) -> Iterator[Page]:
    """The pages of a log that is read in windows of a few blocks, so that records reach from one into the next."""
    reader = LogReader()
    for start in range(0, len(log) + 1, size):
        yield reader.read_window(log[start : start + size], start + size > len(log))
        if reader.is_finished:
            break


class MakePage(Protocol):
    """Makes a page of rows, of which the first is row `first` of the scan: rows of a log are numbered from there."""

    def __call__(self, rows: Sequence[Pairs], first: int = 0, /) -> Page: ...


ENCODINGS: dict[str, MakePage] = {
    "text": lambda rows, first=0: TextPage([*map(row_text, rows)]),
    "text, spaced": lambda rows, first=0: TextPage([*map(spaced_row_text, rows)]),
    "history": lambda rows, first=0: HistoryPage(history_body([*map(row_text, rows)])),
    "history, escapes": lambda rows, first=0: HistoryPage(
        history_body([*map(spaced_row_text, rows)], spell_every_unit)
    ),
    "sampled": lambda rows, first=0: SampledPage(sampled_body([*map(row_text, rows)])),
    "protobuf": lambda rows, first=0: ProtobufPage(wire.page(rows)),
    "log": lambda rows, first=0: log_page(write_rows(rows, first)),
    "log, nested key": lambda rows, first=0: log_page(write_rows(rows, first, nested=True)),
}
"""Every way in which rows reach the columns, each making one page of them."""

LOGS = ("log", "log, nested key")
"""The encodings whose rows are given a step where they are written without one."""


def step_types(encoding: str) -> dict[str, str]:
    """The types of the columns, other than those of the keys, that rows written without a step have."""
    return {"_step": "int64"} if encoding in LOGS else {}


def takes(encoding: str, rows: Iterable[Pairs]) -> bool:
    """Returns True if an encoding can represent the rows: only text that is not UTF-8 can have lone surrogates."""
    return all(is_utf8(key) and _is_writable(text, encoding) for row in rows for key, text in row)


def _is_writable(text: str, encoding: str) -> bool:
    """Returns True if a text has no lone surrogates, or none that form a pair when JSON escapes them."""
    if is_utf8(text) or encoding != "text":
        return is_utf8(text)
    value = json.loads(text)
    return fingerprint(json.loads(json.dumps(value))) == fingerprint(value)


def rows_of_pairs(rows: Iterable[Pairs], encoding: str = "text") -> list[Row]:
    """The rows that the pairs stand for in an encoding; of a key given twice, the last value counts."""
    dicts = [{key: json.loads(text) for key, text in row} for row in rows]
    return with_steps(dicts, range(len(dicts))) if encoding in LOGS else dicts


def pages_of(encoding: str, rows: Sequence[Pairs], size: int) -> list[Page]:
    """The rows of a scan in pages of a size; one empty page where there are no rows."""
    return [ENCODINGS[encoding](part, index * size) for index, part in enumerate(in_parts(rows, size))]


def in_parts(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Consecutive rows, in parts of a size; one empty part where there are no rows."""
    return [rows[start : start + size] for start in range(0, max(1, len(rows)), size)]


def read_stream(stream: Any) -> Any:
    """Reads a stream into a table, and has pyarrow check every buffer of it."""
    table = pa.RecordBatchReader.from_stream(stream).read_all()
    table.validate(full=True)
    return table


def table_of(chunks: Sequence[ColumnChunk]) -> Any:
    """Uses chunks up to make a table of them."""
    return read_stream(ArrowStream(merge_columns(chunks), chunks))


def build_table(
    pages: Iterable[Page | list[Any]], keys: Sequence[str] | None = None, *, flatten: bool = False, rows: int = 65_536
) -> Any:
    """Makes a table of pages, in one thread."""
    return table_of(list(build_chunks(pages, keys=keys, flatten=flatten, rows=rows)))


def types_of(table: Any) -> dict[str, str]:
    """The columns' types by their names, which have to differ."""
    types = {field.name: JSON if is_json(field) else str(field.type) for field in table.schema}
    assert len(types) == table.num_columns, table.column_names
    return types


def rows_of(table: Any) -> list[Row]:
    """Makes dict rows of a table, without the nulls."""
    rows: list[Row] = [{} for _ in range(table.num_rows)]
    for (name, type_name), column in zip(types_of(table).items(), table.columns, strict=True):
        for row, value in zip(rows, column.to_pylist(), strict=True):
            if value is not None:
                row[name] = json.loads(value) if type_name == JSON else value
    return rows


def cells_of(table: Any) -> list[Row]:
    """The same, with JSON text as it is."""
    types_of(table)
    columns = {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}
    return [
        {name: cells[row] for name, cells in columns.items() if cells[row] is not None} for row in range(len(table))
    ]


def column_name(key: str) -> str:
    """The name of a key's column: what Arrow's names can't have is spelt as JSON escapes it."""
    return "".join(letter if letter != "\0" and is_utf8(letter) else f"\\u{ord(letter):04x}" for letter in key)


def is_held(number: Any) -> bool:
    """Returns True if a column of floats can represent a value exactly, if it is a number."""
    if type(number) is int:
        return -(2**63) <= number < 2**63 and int(float(number)) == number
    return type(number) is float


def expected_type(values: Sequence[Any]) -> str:
    """The type that a column of these values, none of them null, should have by the documented rules."""
    kinds = {type(value) for value in values}
    if not values:
        return "null"
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return _expected_integers(values)
    if kinds == {str}:
        return TEXT if all(map(is_utf8, values)) else JSON
    if kinds <= {int, float, str} and all(is_held(value) or value in NUMBER_TEXTS for value in values):
        return FLOATS
    if kinds == {list}:
        return _expected_lists([element for value in values for element in value if element is not None])
    return JSON


def _expected_integers(values: Sequence[int]) -> str:
    if all(-(2**63) <= value < 2**63 for value in values):
        return "int64"
    return "uint64" if all(0 <= value < 2**64 for value in values) else JSON


def _expected_lists(elements: Sequence[Any]) -> str:
    kinds = {type(element) for element in elements}
    if kinds == {int} and all(-(2**63) <= element < 2**63 for element in elements):
        return INT_LISTS
    return FLOAT_LISTS if float in kinds and all(map(is_held, elements)) else JSON


def _as_column(value: Any, type_name: str) -> Any:
    """A row's value as a column of the type should have it; the same value, if in another spelling."""
    if type_name == FLOATS:
        assert is_held(value) or value in NUMBER_TEXTS
        return float(value)
    if type_name == FLOAT_LISTS:
        return [None if element is None else float(element) if element == element else math.nan for element in value]
    # Lists come by way of JSON text, and other nested values are JSON text: every NaN has the same bits there.
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value


def _in_order(value: Any) -> Any:
    """A value whose objects have their keys sorted: items of a log are put together in an order of their own."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(element) for element in value] if isinstance(value, list) else value


def check_values(table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Checks that a table has the rows' values: nothing more, nothing less, and all of them exactly."""
    types = types_of(table)
    expected: list[Row] = []
    for row in rows:
        named = {column_name(key): value for key, value in row.items() if value is not None}
        expected.append({name: _as_column(value, types[name]) for name, value in named.items()})
    assert fingerprint(_in_order(rows_of(table))) == fingerprint(_in_order(expected))


def check_table(table: Any, rows: Sequence[Mapping[str, Any]], *, of_run: bool = False) -> None:
    """Checks that a table has the rows' values, in columns of the right types and in the order they first came.

    Within the row in which they first came, columns are in its order or, where the writer keeps none, by name. Those of
    a run begin with the columns that wandb adds.
    """
    columns: dict[str, list[Any]] = {}
    by_name: dict[str, None] = {}
    for row in rows:
        for key, value in row.items():
            columns.setdefault(column_name(key), []).extend([] if value is None else [value])
        by_name.update(dict.fromkeys(map(column_name, sorted(row))))
    order = lead_columns if of_run else list
    assert table.column_names in (order(columns), order(by_name))
    assert types_of(table) == {key: expected_type(values) for key, values in columns.items()}
    check_values(table, rows)


def check_same_columns(table: Any, expected: Any) -> None:
    """Checks that two tables have the same columns of the same types and values, in any order."""
    types = types_of(expected)
    assert sorted(table.column_names) == sorted(expected.column_names)
    # Lists differ in how Parquet calls their items, which is nothing that histscan says.
    assert {name: found.replace("element:", "item:") for name, found in types_of(table).items()} == types
    ordered = table.select(expected.column_names)
    assert fingerprint(rows_of(ordered.cast(expected.schema))) == fingerprint(rows_of(expected))
    assert table.num_rows == expected.num_rows
