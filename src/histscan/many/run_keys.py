"""Counts the keys of many runs: their types, how many values they have, and in how many runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from histscan.columns.typed_columns import kind_of_flags
from histscan.common.key_info import KeyInfo, KeyPatterns, choose_keys
from histscan.common.keys import in_order

if TYPE_CHECKING:
    import pyarrow

__all__ = ["KeyInfo", "KeyPatterns", "KeyTally", "choose_keys"]


class KeyTally:
    """Counts the values and runs of keys."""

    def __init__(self) -> None:
        self._types: dict[str, str] = {}
        self._counts: dict[str, int | None] = {}
        self._runs: dict[str, set[int]] = {}

    def add_flags(self, flags: dict[str, int]) -> None:
        """Sets the types of keys.

        Args:
            flags: What was seen in their columns, as in `column_types`.
        """
        self._types.update({name: kind_of_flags(seen) for name, seen in flags.items()})

    def add_batch(self, batch: pyarrow.RecordBatch, counts: Iterable[tuple[int, int]]) -> None:
        """Counts the values of a batch.

        Args:
            batch: The columns.
            counts: The place of each run, and the number of its rows, in order.
        """
        places = list(counts)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            missing = column.null_count
            self._counts[name] = (self._counts.get(name) or 0) + len(column) - missing
            runs = self._runs.setdefault(name, set())
            first = 0
            for place, rows in places:
                # A run that is known to have the key, or a column without nulls, need not be counted.
                if rows and place not in runs and (not missing or rows != column.slice(first, rows).null_count):
                    runs.add(place)
                first += rows

    def add(self, name: str, kind: str, count: int | None, place: int) -> None:
        """Adds what a server tells of a key of one run.

        Args:
            name: The key.
            kind: The type.
            count: The number of values; None if unknown.
            place: The place of the run.
        """
        known = self._types.setdefault(name, kind)
        if known != kind:
            self._types[name] = kind if known == "nil" else known if kind == "nil" else "other"
        before = self._counts.get(name, 0)
        self._counts[name] = None if count is None or before is None else before + count
        self._runs.setdefault(name, set()).add(place)

    def result(self) -> list[KeyInfo]:
        """Returns the keys that a run has: the step first, then the others by name."""
        found = {name for name, runs in self._runs.items() if runs}
        return [
            KeyInfo(name, self._types.get(name, "other"), self._counts[name], len(self._runs[name]))
            for name in in_order(found)
        ]
