"""Statistics of the values of each key: types, counts, range, last value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from histscan.cli.flatten import Column, flatten, sort_columns, value_type
from histscan.columns.statistics import ColumnChunk, ColumnStatistics, column_statistics, column_value
from histscan.common.steps import STEP, whole_step

__all__ = ["HistoryStatistics", "KeyStatistics"]

Number = int | float


@dataclass
class KeyStatistics:
    """Statistics of the values of one key.

    Attributes:
        types: The number of values by the name of their type.
        first_step: The step of the first value; None if its row has none.
        last_step: The step of the last value; None if its row has none.
        nan: The number of NaN values.
        lowest: The minimum of the numbers, without NaN; None if there are none.
        highest: The maximum, as `lowest`.
        last: The last value.
    """

    types: Counter[str] = field(default_factory=Counter)
    first_step: int | None = None
    last_step: int | None = None
    nan: int = 0
    lowest: Number | None = None
    highest: Number | None = None
    last: Any = None

    @property
    def count(self) -> int:
        """The number of rows that have the key."""
        return self.types.total()

    @property
    def type(self) -> str:
        """The types of the values, joined by ``|``; ``float`` includes int, as a float may be logged as an int."""
        names = sorted(self.types)
        if "float" in names and "int" in names:
            names.remove("int")
        return "|".join(names)

    def add(self, values: Sequence[Any]) -> None:
        """Adds values, in the order they were logged."""
        kinds = Counter(map(type, values))
        if dict in kinds:
            self.types.update(map(value_type, values))
        else:
            # One lookup per type instead of one per value.
            for kind, number in kinds.items():
                self.types[value_type(kind())] += number
        if float in kinds or int in kinds:
            all_numbers = kinds.keys() <= {int, float}
            self._add_numbers(values if all_numbers else [value for value in values if type(value) in (int, float)])
        self.last = values[-1]

    def add_cells(self, cells: ColumnStatistics, others: Sequence[tuple[int, Any]], last: Any) -> None:
        """Adds the values of a column.

        Args:
            cells: The statistics of the column, without its `others`.
            others: Other values of the key in the same rows, each with its row.
            last: The last value of them all.
        """
        for kind, number in (
            ("bool", cells.bools),
            ("int", cells.integers),
            ("float", cells.floats),
            ("text", cells.texts),
            ("list", cells.lists),
            ("null", cells.nulls),
        ):
            if number:
                self.types[kind] += number
        numbers = cells.numbers
        if others:
            self.types.update(value_type(value) for _, value in others)
            numbers = [*numbers, *((value, row) for row, value in others if type(value) is int)]
        self.nan += cells.nans
        if numbers:
            # Of equal numbers, such as 1 and 1.0, the first one counts.
            lowest, _ = min(numbers)
            highest, _ = max(numbers, key=lambda number: (number[0], -number[1]))
            self._widen(lowest, highest)
        self.last = last

    def _widen(self, lowest: Number, highest: Number) -> None:
        self.lowest = lowest if self.lowest is None else min(self.lowest, lowest)
        self.highest = highest if self.highest is None else max(self.highest, highest)

    def _add_numbers(self, numbers: Sequence[Number]) -> None:
        try:
            has_nan = math.isnan(sum(numbers))
        except OverflowError:  # an int beyond the range of floats
            has_nan = True
        if has_nan:
            # The sum is also NaN if it adds infinities of both signs.
            kept = [number for number in numbers if number == number]
            self.nan += len(numbers) - len(kept)
            numbers = kept
        if numbers:
            self._widen(min(numbers), max(numbers))


def step_of(row: Mapping[Any, Any]) -> int | None:
    """Returns the step of a row.

    Args:
        row: The row.

    Returns:
        Its ``_step``; None if that is missing or no whole number.
    """
    return whole_step(row.get(STEP))


class _StepsOfRows:
    """The steps of the rows of a chunk, each read once."""

    def __init__(self, chunk: ColumnChunk) -> None:
        self._chunk = chunk
        self._steps: dict[int, int | None] = {}

    def __getitem__(self, row: int) -> int | None:
        if row not in self._steps:
            self._steps[row] = whole_step(column_value(self._chunk, STEP, row))
        return self._steps[row]


class HistoryStatistics:
    """Statistics of a history, key by key.

    Attributes:
        rows: The number of rows.
        first_step: The step of the first row; None without rows, or if the row has no step.
        last_step: The step of the last row; None as for `first_step`.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.first_step: int | None = None
        self.last_step: int | None = None
        self._keys: dict[Column, KeyStatistics] = {}

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows. Batches of a few hundred rows are faster than single rows.

        Args:
            rows: Rows, in the order they were logged.
        """
        flat_rows = [flatten(row, typed_whole=True) for row in rows]
        values: dict[Column, list[Any]] = {}
        for row in flat_rows:
            for column, value in row.items():
                if column in values:
                    values[column].append(value)
                else:
                    values[column] = [value]
        for column, column_values in values.items():
            statistics = self._keys.get(column)
            if statistics is None:
                statistics = self._keys[column] = KeyStatistics()
                statistics.first_step = next(step_of(row) for row in flat_rows if column in row)
            statistics.last_step = next(step_of(row) for row in reversed(flat_rows) if column in row)
            statistics.add(column_values)
        if rows and not self.rows:
            self.first_step = step_of(rows[0])
        if rows:
            self.last_step = step_of(rows[-1])
        self.rows += len(rows)

    def add_chunk(self, chunk: ColumnChunk) -> None:
        """Adds rows that were read as columns. This is many times faster than `add`.

        Args:
            chunk: The columns, with nested values as JSON text; of a builder that notes nulls.
        """
        steps = _StepsOfRows(chunk)
        for name, cells in zip(chunk.names, column_statistics(chunk), strict=True):
            others = self._add_nested(name, cells, steps) if cells.others else []
            rows = [row for row, _ in others]
            rows += [row for row in (cells.first_row, cells.last_row) if row is not None]
            if rows:
                first, last = min(rows), max(rows)
                key = self._key(name, steps[first])
                key.add_cells(cells, others, column_value(chunk, name, last))
                key.last_step = steps[last]
        if len(chunk) and not self.rows:
            self.first_step = steps[0]
        if len(chunk):
            self.last_step = steps[len(chunk) - 1]
        self.rows += len(chunk)

    def _add_nested(self, name: str, cells: ColumnStatistics, steps: _StepsOfRows) -> list[tuple[int, Any]]:
        """Adds the members of nested dicts, which have columns of their own; returns the other values."""
        nested: dict[Column, list[tuple[int, Any]]] = {}
        for row, value in cells.others:
            # A typed dict is one value.
            for column, member in flatten({name: value}, typed_whole=True).items():
                nested.setdefault(column, []).append((row, member))
        others = nested.pop(name, [])
        for column, members in nested.items():
            key = self._key(column, steps[members[0][0]])
            key.add([member for _, member in members])
            key.last_step = steps[members[-1][0]]
        return others

    def _key(self, column: Column, first_step: int | None) -> KeyStatistics:
        statistics = self._keys.get(column)
        if statistics is None:
            statistics = self._keys[column] = KeyStatistics(first_step=first_step)
        return statistics

    def items(self) -> Iterator[tuple[Column, KeyStatistics]]:
        """Yields each column with its statistics, the step first and the others by name."""
        for column in sort_columns(self._keys):
            yield column, self._keys[column]
