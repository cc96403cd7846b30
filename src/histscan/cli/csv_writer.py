"""Rows as comma-separated values, in one pass and in bounded memory.

The header stands first in the file, yet the last row may bring a key that no other has. So the lines wait in a
temporary file, each with the columns known by then. When all rows are there, the header is written and the lines
follow, with a comma more for each column that was found after them.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson

from histscan.cli.flatten import Column, flatten, sort_columns, unique_names
from histscan.cli.json_lines import JsonLineEncoder, nonfinite_name

__all__ = ["write_csv"]

# The columns that appear within these rows are sorted together.
FIRST_ROWS = 1_000
# Few enough that the rows stay in the processor's cache while they are written.
BATCH_ROWS = 256
SPOOL_IN_MEMORY = 8 << 20
COPY_SIZE = 1 << 20

# Ends a line that waits. It occurs nowhere in UTF-8, so the ends are found without looking for quotes.
_LINE_END = b"\xff"
# Stands alone in a line whose one cell is empty: without it, most readers would skip the line.
_EMPTY_CELL = b'""'
_NEEDS_QUOTES = re.compile(rb'[",\r\n]')
_PLAIN_TYPES = frozenset({int, float, bool, type(None)})


def write_csv(
    rows: Iterable[dict[str, Any]], output: BinaryIO, *, keys: Sequence[str] = (), folder: Path | None = None
) -> int:
    """Writes rows as comma-separated values: UTF-8, a header, and a line for each row.

    Nested values have dotted columns (``validation.loss``); lists are JSON. What a row lacks is empty, and so is null;
    an empty text is ``""``. Floats have the fewest digits that read back as the same float; NaN and the infinities are
    ``NaN``, ``Infinity`` and ``-Infinity``; truth values are ``true`` and ``false``. A lone surrogate, which UTF-8
    lacks, becomes its escape.

    The first column is the step; the others are in the order of `keys`, or sorted by name. Those that no row has
    among the first 1,000 follow behind, in the order that they are found.

    Args:
        rows: The rows.
        output: Where to write.
        keys: The order of columns; what is nested below a key takes its place.
        folder: Where the lines wait, in a file without a name that takes about the room of the output; None for the
            system's folder of temporary files.

    Returns:
        How many columns there are.
    """
    with tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY, dir=None if folder is None else str(folder)) as waiting:
        lines = _WaitingLines(waiting, keys)
        flat_rows = map(flatten, rows)
        lines.add(list(islice(flat_rows, FIRST_ROWS)))
        while batch := list(islice(flat_rows, BATCH_ROWS)):
            lines.add(batch)
        lines.copy_to(output)
        return len(lines.columns)


class _WaitingLines:
    """Lines that wait for the header."""

    def __init__(self, waiting: IO[bytes], keys: Sequence[str]) -> None:
        self.columns: dict[Column, None] = {}
        self._waiting = waiting
        self._bare_rows = 0  # before any that has a column
        self._keys = keys
        self._stretches: list[tuple[int, int]] = []  # where one ends, and how many columns its lines have
        self._json = JsonLineEncoder()

    def add(self, rows: list[dict[Column, Any]]) -> None:
        """Adds a line for each row, with a cell for every column that any of them has."""
        known = len(self.columns)
        self.columns.update(dict.fromkeys(sort_columns(set().union(*rows).difference(self.columns), self._keys)))
        if not self.columns:
            self._bare_rows += len(rows)
            return
        if known and known != len(self.columns):
            self._stretches.append((self._waiting.tell(), known))
        # Column by column: what a cell takes is then mostly done outside of Python's interpreter.
        values = zip(*[list(map(row.get, self.columns)) for row in rows], strict=True)
        lines = [*map(b",".join, zip(*map(self._cells, values), strict=True)), b""]
        if len(self.columns) == 1:
            lines[:-1] = [line or _EMPTY_CELL for line in lines[:-1]]
        self._waiting.write(_LINE_END.join(lines))

    def _cells(self, values: Sequence[Any]) -> list[bytes]:
        """Writes the values of a column."""
        if set(map(type, values)) <= _PLAIN_TYPES:
            try:
                cells = orjson.dumps(values)[1:-1].split(b",")
            except TypeError:  # an int beyond 64 bits
                return [self._cell(value) for value in values]
            if b"null" in cells:
                # What is absent, and NaN and the infinities, which orjson has no words for.
                pairs = zip(cells, values, strict=True)
                return [cell if cell != b"null" else self._cell(value) for cell, value in pairs]
            return cells
        return [self._cell(value) for value in values]

    def _cell(self, value: Any) -> bytes:
        """Writes one value."""
        if value is None:
            return b""
        if type(value) is str:
            text = value.encode("utf-8", "backslashreplace")
        elif type(value) is float and not math.isfinite(value):
            return nonfinite_name(value).encode()
        else:
            text = self._json.encode(value)[:-1]
        # An empty text has quotes, for those who tell it from what is absent.
        return b'"%b"' % text.replace(b'"', b'""') if not text or _NEEDS_QUOTES.search(text) else text

    def copy_to(self, output: BinaryIO) -> None:
        """Writes the header and the lines."""
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
