"""The keys of the command line: which rows and which of their keys are shown or written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from histscan.cli.exit_codes import UsageError
from histscan.cli.flatten import column_name, flatten
from histscan.common.key_patterns import KeyChoice, is_pattern
from histscan.common.keys import ABSENT, find_value
from histscan.common.near_keys import describe_missing
from histscan.common.steps import STEP

if TYPE_CHECKING:
    import pyarrow

    from histscan.columns.scan import Scan

__all__ = ["ChosenRows", "KeySelection"]


class KeySelection:
    """Keys and patterns of keys. A row must have every key, and for each pattern a key that matches it.

    Args:
        items: The keys and patterns, in the user's order.
    """

    def __init__(self, items: Sequence[str]) -> None:
        self.items = [item for item in dict.fromkeys(items) if item != STEP]
        self.has_patterns = any(map(is_pattern, self.items))
        self._choices = [KeyChoice((item,)) for item in self.items]
        # The keys that each item chooses, by the names of a row's keys: many rows have the same.
        self._cache: dict[tuple[str, ...], list[list[str]] | None] = {}

    @property
    def with_step(self) -> list[str]:
        """The items with the step in front, for frames."""
        return [STEP, *self.items]

    def pick(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Selects the keys of a row.

        Args:
            row: The row.

        Returns:
            The step and the chosen keys, nested ones dotted; None if the row is not chosen.
        """
        flat = {column_name(column): value for column, value in flatten(row).items()}
        names = tuple(flat)
        if names not in self._cache:
            self._cache[names] = self._match(names)
        matches = self._cache[names]
        if matches is None:
            return None
        picked = {STEP: row[STEP]} if STEP in row else {}
        for match in matches:
            for name in match:
                value = flat[name] if name in flat else find_value(row, name)
                if value is ABSENT:
                    return None
                picked[name] = value
        return picked

    def _match(self, names: tuple[str, ...]) -> list[list[str]] | None:
        """Returns the keys that each item chooses; None if one chooses none."""
        matches = [choice.select(names) for choice in self._choices]
        return matches if all(matches) else None

    def match(self, names: Sequence[str]) -> list[str]:
        """Returns the names that one of the items matches.

        Args:
            names: The names.
        """
        return [name for name in KeyChoice(tuple(self.items)).select(names) if name in names]

    def expand(self, find_known: Callable[[], Sequence[str]]) -> list[str]:
        """Replaces patterns with the keys that match them.

        Args:
            find_known: Returns all keys, nested ones dotted; called if there is a pattern.

        Returns:
            The keys.

        Raises:
            UsageError: No key matches one of the patterns.
        """
        if not self.has_patterns:
            return list(self.items)
        known = list(find_known())
        self.check(lambda: known, "run")
        return [name for name in KeyChoice(tuple(self.items)).select(known) if name != STEP]

    def choose_rows(self, batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
        """Drops the rows of a batch that are not chosen.

        Args:
            batch: The batch; a key that a row lacks is null there.

        Returns:
            The batch with the chosen rows.
        """
        from pyarrow import compute

        # A key with the name of a column that names the run is the column `history.…`, behind it.
        names = set(batch.schema.names)
        places: dict[str, int] = {}
        for place, name in enumerate(batch.schema.names):
            key = name.removeprefix("history.")
            places[key if key in names else name] = place
        for choice in self._choices:
            present = None
            for name in filter(places.__contains__, choice.select(list(places))):
                valid = batch.column(places[name]).is_valid()
                present = valid if present is None else compute.or_(present, valid)
            batch = batch.slice(0, 0) if present is None else batch.filter(present)
        return batch

    def check(self, find_known: Callable[[], Sequence[str]], owner: str = "row") -> None:
        """Checks that there are such keys; call it only if nothing was chosen, because finding all keys takes a pass.

        Args:
            find_known: Returns all keys, nested ones dotted.
            owner: ``"row"`` for one run, ``"run"`` for many.

        Raises:
            UsageError: No row has one of the keys, or a key that matches one of the patterns.
        """
        if not self.items:
            return
        known = list(find_known())
        if not known:
            return
        for item in KeyChoice(tuple(self.items)).missing(known):
            raise UsageError(describe_missing(str(item), known, owner))


class ChosenRows:
    """The rows of a scan that a selection with patterns chooses; it has the progress of the scan.

    Args:
        scan: A scan of all keys.
        selection: The selection.
    """

    def __init__(self, scan: Scan, selection: KeySelection) -> None:
        self._scan = scan
        self._selection = selection

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._scan:
            picked = self._selection.pick(row)
            if picked is not None:
                yield picked

    @property
    def size(self) -> int:
        """As for the scan."""
        return self._scan.size

    @property
    def bytes_read(self) -> int:
        """As for the scan."""
        return self._scan.bytes_read
