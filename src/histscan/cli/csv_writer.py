"""Writes rows as CSV, in one pass and in bounded memory.

The header comes first in the file, but the last row may add a key that no other row has. So lines are first written to
a temporary file, each with the columns known by then. At the end the header is written, and the lines are copied behind
it, each padded with one comma for every column that was found after it.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson

from histscan.cli.flatten import Column, flatten, order_columns, unique_names
from histscan.cli.json_lines import JsonLineEncoder, nonfinite_name

__all__ = ["add_guard_formulas", "write_csv"]

# Of columns found within these rows, those that wandb adds and those of `keys` come first.
FIRST_ROWS = 1_000
# Few enough rows to stay in the CPU cache while they are written.
BATCH_ROWS = 256
SPOOL_IN_MEMORY = 8 << 20
COPY_SIZE = 1 << 20

# Ends a line in the temporary file. UTF-8 never contains this byte, so line ends are found without parsing quotes.
_LINE_END = b"\xff"
# A line of one empty cell: most readers would skip a line without these quotes.
_EMPTY_CELL = b'""'
_NEEDS_QUOTES = re.compile(rb'[",\r\n]')
# Also in the width of East Asian characters, which spreadsheets take for the same.
_FORMULA_STARTS = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
_PLAIN_TYPES = frozenset({int, float, bool, type(None)})


def add_guard_formulas(parser: argparse.ArgumentParser) -> None:
    """Declares that texts of CSV files can be guarded."""
    parser.add_argument(
        "--guard-formulas",
        action="store_true",
        help="for CSV files that are opened in a spreadsheet: write an apostrophe before texts that it would take for "
        "formulas (they begin with = + - @ or a tab)",
    )


def write_csv(
    rows: Iterable[dict[str, Any]],
    output: BinaryIO,
    *,
    keys: Sequence[str] = (),
    first: Sequence[str] = (),
    by_name: Callable[[], bool] = lambda: False,
    folder: Path | None = None,
    guard_formulas: bool = False,
) -> int:
    """Writes rows as comma-separated values: UTF-8, a header, and a line for each row.

    Nested values have dotted columns (``validation.loss``); lists are JSON. Missing keys and null are empty cells; an
    empty string is ``""``. Floats have the fewest digits that read back as the same float. NaN and the infinities are
    ``NaN``, ``Infinity`` and ``-Infinity``; bools are ``true`` and ``false``. A lone surrogate, which UTF-8 can't
    encode, becomes its escape.

    The step, ``_runtime`` and ``_timestamp`` are the first columns, then those of `keys`, then the others in the order
    of the rows in which they first appear. Columns that first appear after the first 1,000 rows follow at the end.

    Args:
        rows: The rows.
        output: The binary file to write to.
        keys: The order of columns; nested keys take the place of their parent.
        first: Columns that come before the step, in this order.
        by_name: Called when a row has new columns: True if the keys of a row have no order of their own.
        folder: The folder of the unnamed temporary file, which takes about as much space as the output. None for the
            system's temporary folder.
        guard_formulas: True to write an apostrophe before texts, also those of the header, that a spreadsheet would
            take for a formula: they begin with ``=``, ``+``, ``-``, ``@``, a tab or a line break. Numbers stay.

    Returns:
        The number of columns.
    """
    with tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY, dir=None if folder is None else str(folder)) as waiting:
        lines = _WaitingLines(waiting, keys, first, by_name, guard_formulas)
        flat_rows = map(flatten, rows)
        lines.add(list(islice(flat_rows, FIRST_ROWS)))
        while batch := list(islice(flat_rows, BATCH_ROWS)):
            lines.add(batch)
        lines.copy_to(output)
        return len(lines.columns)


class _WaitingLines:
    """Lines in a temporary file, which wait until all columns are known."""

    def __init__(
        self,
        waiting: IO[bytes],
        keys: Sequence[str],
        first: Sequence[str],
        by_name: Callable[[], bool],
        guard_formulas: bool,
    ) -> None:
        self.columns: dict[Column, None] = {}
        self._waiting = waiting
        self._bare_rows = 0  # rows before the first one that has a column
        self._keys = keys
        self._first = first
        self._by_name = by_name
        self._guards = _FORMULA_STARTS if guard_formulas else ()
        self._stretches: list[tuple[int, int]] = []  # end offset, and the number of columns in its lines
        self._json = JsonLineEncoder()

    def add(self, rows: list[dict[Column, Any]]) -> None:
        """Adds a line for each row, with a cell for every column found so far."""
        known = len(self.columns)
        if not self.columns.keys() >= set().union(*rows):
            added = order_columns(rows, self.columns, keys=self._keys, first=self._first, by_name=self._by_name())
            self.columns.update(dict.fromkeys(added))
        if not self.columns:
            self._bare_rows += len(rows)
            return
        if known and known != len(self.columns):
            self._stretches.append((self._waiting.tell(), known))
        # Column by column: most of the work per cell is then done in C.
        values = zip(*[list(map(row.get, self.columns)) for row in rows], strict=True)
        lines = [*map(b",".join, zip(*map(self._cells, values), strict=True)), b""]
        if len(self.columns) == 1:
            lines[:-1] = [line or _EMPTY_CELL for line in lines[:-1]]
        self._waiting.write(_LINE_END.join(lines))

    def _cells(self, values: Sequence[Any]) -> list[bytes]:
        """Formats the values of one column."""
        if set(map(type, values)) <= _PLAIN_TYPES:
            try:
                cells = orjson.dumps(values)[1:-1].split(b",")
            except TypeError:  # an int beyond 64 bits
                return [self._cell(value) for value in values]
            if b"null" in cells:
                # Missing values, and NaN and the infinities, which orjson writes as null.
                pairs = zip(cells, values, strict=True)
                return [cell if cell != b"null" else self._cell(value) for cell, value in pairs]
            return cells
        return [self._cell(value) for value in values]

    def _cell(self, value: Any) -> bytes:
        """Formats one value."""
        if value is None:
            return b""
        if type(value) is str:
            if value.startswith(self._guards):
                value = f"'{value}"
            text = value.encode("utf-8", "backslashreplace")
        elif type(value) is float and not math.isfinite(value):
            return nonfinite_name(value).encode()
        else:
            text = self._json.encode(value)[:-1]
        # Quotes distinguish an empty string from a missing value.
        return b'"%b"' % text.replace(b'"', b'""') if not text or _NEEDS_QUOTES.search(text) else text

    def copy_to(self, output: BinaryIO) -> None:
        """Writes the header, then copies the lines."""
        if not self.columns:
            return
        output.write(b",".join(self._cell(name) for name in unique_names(self.columns)) + b"\n")
        bare_line = (b"," * (len(self.columns) - 1) or _EMPTY_CELL) + b"\n"
        output.writelines(repeat(bare_line, self._bare_rows))
        self._stretches.append((self._waiting.tell(), len(self.columns)))
        self._waiting.seek(0)
        position = 0
        for end, width in self._stretches:
            line_end = b"," * (len(self.columns) - width) + b"\n"
            while position < end:
                block = self._waiting.read(min(COPY_SIZE, end - position))
                position += len(block)
                output.write(block.replace(_LINE_END, line_end))
