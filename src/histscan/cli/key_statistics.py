"""What the values of each key are like."""

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
    """What the values of one key are like.

    Attributes:
        types: How many values there are of each type, by its name.
        first_step: The step of the first value; None if its row has none.
        last_step: The step of the last value.
        nan: How many values are NaN.
        lowest: The lowest of the numbers that are not NaN; None if there is none.
        highest: The highest of them.
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
        """How many rows have the key."""
        return self.types.total()

    @property
    def type(self) -> str:
        """The type of all values, or the types; a float may be logged as an int, so that ``float`` means both."""
        names = sorted(self.types)
        if "float" in names and "int" in names:
            names.remove("int")
        return "|".join(names)

    def add(self, values: Sequence[Any]) -> None:
        """Takes in values, in the order they were logged."""
        kinds = Counter(map(type, values))
        if dict in kinds:
            self.types.update(map(value_type, values))
        else:
            # One name for each type, instead of one for each value.
            for kind, number in kinds.items():
                self.types[value_type(kind())] += number
        if float in kinds or int in kinds:
            all_numbers = kinds.keys() <= {int, float}
            self._add_numbers(values if all_numbers else [value for value in values if type(value) in (int, float)])
        self.last = values[-1]

    def _add_numbers(self, numbers: Sequence[Number]) -> None:
        try:
            has_nan = math.isnan(sum(numbers))
        except OverflowError:  # an int beyond any float
            has_nan = True
        if has_nan:
            # So may infinities that cancel out.
            kept = [number for number in numbers if number == number]
            self.nan += len(numbers) - len(kept)
            numbers = kept
        if numbers:
            lowest, highest = min(numbers), max(numbers)
            self.lowest = lowest if self.lowest is None else min(self.lowest, lowest)
            self.highest = highest if self.highest is None else max(self.highest, highest)


def step_of(row: Mapping[Any, Any]) -> int | None:
    """Returns the step that a row names.

    Args:
        row: The row.

    Returns:
        Its ``_step``; None where that is missing or no whole number.
    """
    return whole_step(row.get(STEP))


class HistoryStatistics:
    """What the rows of a history are like, key by key.

    Attributes:
        rows: How many rows there are.
        first_step: The step of the first row; None if there is none.
        last_step: The step of the last row.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.first_step: int | None = None
        self.last_step: int | None = None
        self._keys: dict[Column, KeyStatistics] = {}

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Takes in some rows: a few hundred at once are taken in faster than one by one.

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
        """Yields the keys in order, nested ones for themselves, and what their values are like."""
        for column in sort_columns(self._keys):
            yield column, self._keys[column]
