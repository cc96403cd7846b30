"""Statistics of the values of each key: types, counts, range, last value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from histscan.cli.flatten import Column, flatten, sort_columns, value_type
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
            lowest, highest = min(numbers), max(numbers)
            self.lowest = lowest if self.lowest is None else min(self.lowest, lowest)
            self.highest = highest if self.highest is None else max(self.highest, highest)


def step_of(row: Mapping[Any, Any]) -> int | None:
    """Returns the step of a row.

    Args:
        row: The row.

    Returns:
        Its ``_step``; None if that is missing or no whole number.
    """
    return whole_step(row.get(STEP))


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

    def items(self) -> Iterator[tuple[Column, KeyStatistics]]:
        """Yields each column with its statistics, the step first and the others by name."""
        for column in sort_columns(self._keys):
            yield column, self._keys[column]
