"""Tables through Arrow's C data interface: the oracle is pyarrow, which also says whether a table is valid.

The input describes a record batch: types, then the contents of each buffer. Contents are any bytes, but buffers are as
large as the interface requires, because it does not tell a consumer how large they are: an array's last offset is at
most the size of what it leads to.
"""

from __future__ import annotations

import array
import re
import struct
from collections.abc import Iterable
from typing import Any

import pyarrow

from fuzz.inputs import Input
from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage, take_rows
from histscan._core.columns.column_builder import ColumnBuilder
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError
from tests.support.arrow_samples import expected_rows, same
from tests.support.column_rows import build_table, cells_of, rows_of
from tests.support.json_corpus import fingerprint
from tests.support.selected_rows import NOTHING, find_below

FIXED: list[tuple[Any, int]] = [
    (pyarrow.int8(), 1),
    (pyarrow.uint8(), 1),
    (pyarrow.int16(), 2),
    (pyarrow.uint16(), 2),
    (pyarrow.int32(), 4),
    (pyarrow.uint32(), 4),
    (pyarrow.int64(), 8),
    (pyarrow.uint64(), 8),
    (pyarrow.float16(), 2),
    (pyarrow.float32(), 4),
    (pyarrow.float64(), 8),
    (pyarrow.binary(3), 3),
    (pyarrow.date32(), 4),
    (pyarrow.date64(), 8),
    (pyarrow.time32("s"), 4),
    (pyarrow.time32("ms"), 4),
    (pyarrow.time64("us"), 8),
    (pyarrow.timestamp("s"), 8),
    (pyarrow.timestamp("ms"), 8),
    (pyarrow.timestamp("us"), 8),
]
_MORE = [pyarrow.time64("ns"), pyarrow.timestamp("ns"), pyarrow.timestamp("us", tz="UTC")]
"""Types of eight bytes: of nanoseconds, and with a zone."""

_INTEGERS = 8
"""So many of the types above are integers."""

_TEXTS = [
    (pyarrow.string(), False),
    (pyarrow.binary(), False),
    (pyarrow.large_string(), True),
    (pyarrow.large_binary(), True),
]
"""Types of texts and bytes; True if their offsets have 64 bits."""


_DEEPEST = 3
_MOST_ROWS = 8


def check(data: bytes) -> None:
    """Checks dict rows and columns of a table."""
    taken = Input(data)
    low, stop = sorted((taken.byte() % 8, taken.byte()))
    table = TableMaker(taken).table()
    try:
        page = ArrowPage(read_batches(table))
    except HistoryDecodeError as refused:
        assert "steps are not numbers" in refused.reason or not is_valid(table)
        return
    error = None
    rows: list[dict[str, Any]] = []
    try:
        rows = page.rows()
    except HistoryDecodeError as caught:
        error = caught
    check_columns(page, rows, error, table)
    if error is None:
        check_steps(table, rows, low, stop)
        check_keys(table, rows)
        check_options(table, rows, low, stop)
    if not is_valid(table) or re.search(r"\[ns\]|tz=", str(table.schema.types)):
        # What Python's own types of time do not hold is left to `tests/core/test_arrow_rows.py`.
        return
    try:
        expected = expected_rows(table)
    except (OverflowError, ValueError):
        # Beyond what Python's own types of time hold; or text that should be JSON.
        return
    if error is None:
        assert same(rows, expected), (rows, expected)
    else:
        # pyarrow does not check times of day, and knows nothing of steps.
        assert "time of day" in error.reason or "step" in error.reason, error


def is_valid(table: Any) -> bool:
    """Returns True if pyarrow finds nothing wrong with a table, which it must not read otherwise."""
    try:
        table.validate(full=True)
    except pyarrow.ArrowInvalid:
        return False
    return True


def check_columns(page: ArrowPage, rows: list[dict[str, Any]], error: HistoryDecodeError | None, table: Any) -> None:
    """Checks that columns are those of the rows, or end where they do."""
    if error is not None:
        builder = ColumnBuilder()
        try:
            builder.add_page(page)
        except HistoryDecodeError as of_columns:
            assert str(of_columns) == str(error)
            assert builder.row_count == error.row
            return
        raise AssertionError(f"rows have an error ({error}), but columns have none")
    for flatten in (False, True):
        found = build_table([page], flatten=flatten)
        expected = build_table([rows], flatten=flatten)
        assert found.schema.equals(expected.schema), (found.schema, expected.schema)
        check_cells(found, expected, table)


def check_steps(table: Any, rows: list[dict[str, Any]], low: int, stop: int) -> None:
    """Checks that a range of steps has the rows whose steps are within it, in the order of their steps."""
    batches = list(read_batches(table))
    try:
        for batch in batches:
            batch.order_by_step(low, stop)
    except HistoryDecodeError as error:
        assert "no `_step` column" in error.reason, error
        assert STEP not in table.column_names
        return
    expected = sorted((row for row in rows if STEP in row and low <= row[STEP] < stop), key=lambda row: int(row[STEP]))
    page = take_rows(batches)
    assert same(page.rows(), expected), (page.rows(), expected)
    last = {key: row[key] for row in expected for key in row}
    assert fingerprint(sorted(page.last_values().items())) == fingerprint(sorted(last.items()))


def check_keys(table: Any, rows: list[dict[str, Any]]) -> None:
    """Checks that rows of some keys have what the whole rows have for them, and columns likewise."""
    keys = [*table.column_names[::-1], f"{table.column_names[0]}.a", "missing", f"{table.column_names[-1]}.b.c"]
    found = [{key: find_below(row, key) for key in keys} for row in rows]
    expected = [{key: value for key, value in row.items() if value is not NOTHING} for row in found]
    page = ArrowPage(read_batches(table, keys=keys))
    assert same(page.rows(), expected), (page.rows(), expected)
    whole = ArrowPage(read_batches(table))
    for flatten in (False, True):
        columns = build_table([whole], keys, flatten=flatten)
        of_rows = build_table([rows], keys, flatten=flatten)
        assert columns.schema.equals(of_rows.schema), (columns.schema, of_rows.schema)
        check_cells(columns, of_rows, table)


def check_options(table: Any, rows: list[dict[str, Any]], low: int, stop: int) -> None:
    """Checks batches with required keys, with steps of their own, with None for gaps, and of several origins."""
    whole = ArrowPage(read_batches(table))
    gaps = [{name: row.get(name) for name in [*dict.fromkeys(table.column_names)]} for row in whole.rows()]
    filled = ArrowPage(ArrowBatch(batch, fills_gaps=True) for batch in table.to_batches())
    assert same(filled.rows(), gaps), (filled.rows(), gaps)
    plain = ArrowPage(ArrowBatch(batch, plain_steps=True) for batch in table.to_batches()).rows()
    steps = array.array("q", [(place * 5 + low) % 7 for place in range(len(rows))])
    taken = take_rows(ordered([ArrowBatch(batch, steps=steps) for batch in table.to_batches()], 1, 6)).rows()
    expected = [row for step, row in sorted(zip(steps, plain, strict=True), key=lambda pair: pair[0]) if 1 <= step < 6]
    assert same(taken, expected), (taken, expected)
    if STEP not in table.column_names:
        return
    within = [row for row in rows if STEP in row and low <= row[STEP] < stop]
    for required in ([table.column_names[-1]], [f"{table.column_names[-1]}.a", STEP], ["missing"]):
        found = take_rows(ordered(read_batches(table, required=required), low, stop)).rows()
        complete = [row for row in within if all(find_below(row, key) is not NOTHING for key in required)]
        assert same(found, sorted(complete, key=lambda row: int(row[STEP]))), (found, complete)
    twice = [*read_batches(table), *read_batches(table)]
    for origin, batch in enumerate(twice):
        batch.origin = origin
    assert same(take_rows(ordered(twice, low, stop)).rows(), sorted(within, key=lambda row: int(row[STEP])))


def ordered(batches: Iterable[ArrowBatch], low: int, stop: int) -> list[ArrowBatch]:
    """Orders the rows of batches by their steps; returns the batches."""
    every = list(batches)
    for batch in every:
        batch.order_by_step(low, stop)
    return every


def check_cells(found: Any, expected: Any, table: Any) -> None:
    """Checks that columns of a table are those of its dict rows, JSON text to the letter unless it came as such."""
    if any(field.type == pyarrow.json_() for field in table.schema):
        assert fingerprint(rows_of(found)) == fingerprint(rows_of(expected))
    else:
        assert fingerprint(cells_of(found)) == fingerprint(cells_of(expected))


class TableMaker:
    """Makes the table that an input describes; it need not be valid.

    Args:
        taken: The input.
    """

    def __init__(self, taken: Input) -> None:
        self._taken = taken
        self._offsets: list[tuple[bytearray, bytes]] = []

    def table(self) -> Any:
        """Returns the table."""
        rows = self._taken.byte() % (_MOST_ROWS + 1)
        count = 1 + self._taken.byte() % 3
        arrays = [self._array(rows, 0) for _ in range(count)]
        names = [self._name(place) for place in range(count)]
        table = pyarrow.Table.from_batches([pyarrow.RecordBatch.from_arrays(arrays, names)])
        # pyarrow refuses to make arrays of wrong offsets, so they are written when all arrays are there.
        for buffer, content in self._offsets:
            memoryview(buffer)[:] = content
        return table

    def _name(self, place: int) -> str:
        """Returns the name of a column: dotted ones and that of the step among them."""
        choice = self._taken.byte() % 4
        return STEP if choice == 2 and place == 0 else f"{place}.a" if choice == 1 else str(place)

    def _array(self, length: int, depth: int) -> Any:
        """Returns an array of a length."""
        choice = self._taken.byte() % 32
        offset = self._taken.byte() % 4
        slots = length + offset
        validity = self._taken.take((slots + 7) // 8) if self._taken.byte() & 1 else None

        def make(arrow_type: Any, *buffers: bytes | bytearray, children: list[Any] | None = None) -> Any:
            all_buffers = [None if buffer is None else pyarrow.py_buffer(buffer) for buffer in (validity, *buffers)]
            return pyarrow.Array.from_buffers(arrow_type, length, all_buffers, offset=offset, children=children)

        if choice < len(FIXED):
            arrow_type, width = FIXED[choice]
            return make(arrow_type, self._taken.take(slots * width))
        if choice < len(FIXED) + len(_TEXTS):
            arrow_type, is_large = _TEXTS[choice - len(FIXED)]
            size = self._taken.byte() % 64
            return make(arrow_type, self._offsets_of(slots, size, is_large=is_large), self._taken.take(size))
        if depth == _DEEPEST or choice == 31:
            return make(pyarrow.bool_(), self._taken.take((slots + 7) // 8))
        if choice in (24, 25):
            is_large = choice == 25
            size = self._taken.byte() % 12
            offsets = self._offsets_of(slots, size, is_large=is_large)
            items = self._array(size, depth + 1)
            return make((pyarrow.large_list if is_large else pyarrow.list_)(items.type), offsets, children=[items])
        if choice == 26:
            size = self._taken.byte() % 3
            items = self._array(slots * size, depth + 1)
            return make(pyarrow.list_(items.type, size), children=[items])
        if choice == 27:
            members = [self._array(slots, depth + 1) for _ in range(self._taken.byte() % 3)]
            fields = [pyarrow.field(name, member.type) for name, member in zip(("a", "b.c"), members, strict=False)]
            return make(pyarrow.struct(fields), children=members)
        if choice == 28:
            values = self._array(1 + self._taken.byte() % 4, _DEEPEST)
            arrow_type, width = FIXED[self._taken.byte() % _INTEGERS]
            indices = make(arrow_type, self._taken.take(slots * width))
            return pyarrow.DictionaryArray.from_arrays(indices, values, safe=False)
        if choice == 29 and depth == 0:
            size = self._taken.byte()
            texts = make(pyarrow.string(), self._offsets_of(slots, size), self._taken.take(size))
            return pyarrow.ExtensionArray.from_storage(pyarrow.json_(), texts)
        if choice == 30 and (kind := self._taken.byte() % 4) < len(_MORE):
            return make(_MORE[kind], self._taken.take(slots * 8))
        return pyarrow.nulls(length)

    def _offsets_of(self, slots: int, size: int, *, is_large: bool = False) -> bytearray:
        """Returns a buffer for offsets: ascending by a few bytes each, or any; the last is at most the size."""
        letter, width = ("q", 8) if is_large else ("i", 4)
        form = f"<{slots + 1}{letter}"
        if self._taken.byte() & 1:
            offsets = list(struct.unpack(form, self._taken.take((slots + 1) * width)))
        else:
            offsets = [self._taken.byte() % 4]
            for _ in range(slots):
                offsets.append(offsets[-1] + self._taken.byte() % 4)
        offsets[-1] = max(0, min(offsets[-1], size))
        buffer = bytearray((slots + 1) * width)
        self._offsets.append((buffer, struct.pack(form, *offsets)))
        return buffer
