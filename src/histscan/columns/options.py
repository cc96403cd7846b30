"""The options of the frame methods as one object."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from histscan.common.key_patterns import KeyChoice
from histscan.common.keys import lead_columns, leading_names
from histscan.common.near_keys import check_known
from histscan.common.steps import STEP
from histscan.errors import HistoryError, UnknownKeyError

__all__ = ["DEFAULT_BATCH_ROWS", "ColumnOptions", "Keys", "Nested"]

Nested = Literal["json", "flatten"]
"""What becomes of nested values: a column of JSON text, or columns with dotted names."""

Keys = Iterable[str | re.Pattern[str]]
"""Keys, globs (``"val/*"``) and compiled regular expressions."""

DEFAULT_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class ColumnOptions:
    """How rows become columns.

    Attributes:
        keys: The keys to make columns of, in this order; None for all keys.
        flatten: Nested values become columns with dotted names, instead of JSON text.
        threads: The number of threads that build columns; None for one per core, at most four.
        rows: Rows in a batch, for streams of batches.
        choice: Keys and patterns of keys, which `choose` replaces with `keys`.
        with_step: The step is the first column if `keys` do not have it.
        added_step: `choose` has put the step before the keys.
        find_known: Finds all keys of the run, or returns None if that is not possible; None to ask the scan.
    """

    keys: Sequence[str] | None = None
    flatten: bool = False
    threads: int | None = None
    rows: int = DEFAULT_BATCH_ROWS
    choice: KeyChoice | None = None
    with_step: bool = False
    added_step: bool = False
    find_known: Callable[[], Sequence[str] | None] | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        keys: Keys | None = None,
        nested: str = "json",
        *,
        threads: int | None = None,
        rows: int = DEFAULT_BATCH_ROWS,
        with_step: bool = True,
    ) -> ColumnOptions:
        """Checks the arguments of a frame method.

        Args:
            keys: As `keys`, with patterns.
            nested: ``"json"`` or ``"flatten"``.
            threads: As `threads`.
            rows: As `rows`.
            with_step: As `with_step`.

        Returns:
            The options.

        Raises:
            ValueError: An argument is out of its range.
        """
        choice = KeyChoice.of(keys)
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        if nested not in ("json", "flatten"):
            raise ValueError(f"nested must be 'json' or 'flatten', not {nested!r}")
        names = None if choice is None else choice.names
        return cls(
            names,
            nested == "flatten",
            threads,
            rows,
            choice if names is None else None,
            with_step and choice is not None and len(choice.items) > 0,
        )

    def choose(
        self, own_keys: Sequence[str] | None = None, find_known: Callable[[], Sequence[str] | None] | None = None
    ) -> ColumnOptions:
        """Chooses the keys of a scan or a run.

        Args:
            own_keys: The keys of the scan's rows: the default, and nothing is added to them. None for all.
            find_known: Finds all keys if the options do not; it may return None.

        Returns:
            The options with keys in place of patterns, and with the step before them.

        Raises:
            HistoryError: The keys can't be found.
            UnknownKeyError: There is no key that matches a pattern.
            ValueError: There are patterns, and the keys are unknown.
        """
        find_known = self.find_known or find_known
        keys = self.keys
        if self.choice is not None:
            known = None if find_known is None else find_known()
            if known is None:
                raise ValueError("the keys of this scan are unknown before it is read: pass keys, not patterns")
            check_known(self.choice.items, known)
            keys = self.choice.select(known)
        with_step, added_step = self.with_step, self.added_step
        if keys is None:
            keys, with_step = own_keys, False
        elif with_step and STEP not in keys and (own_keys is None or STEP in own_keys):
            keys, with_step, added_step = [STEP, *keys], False, True
        return replace(self, keys=keys, choice=None, with_step=with_step, added_step=added_step, find_known=find_known)

    def known_keys(self) -> Sequence[str] | None:
        """Finds all keys; None if that is not possible."""
        return None if self.find_known is None else self.find_known()

    def arrange(self, formats: Mapping[str, str]) -> dict[str, str]:
        """Orders and checks the columns that were found.

        Args:
            formats: The format of each column, in the order in which the columns first appeared.

        Returns:
            The same; for all keys, with the columns first that wandb adds to each row.

        Raises:
            UnknownKeyError: A requested key has no value, and there is no such key.
        """
        if self.keys is None:
            return {name: formats[name] for name in lead_columns(formats)}
        columns = dict(formats)
        if self.added_step and columns.get(STEP) == "n":
            del columns[STEP]
        self.check_found({name for name, found in columns.items() if found != "n"})
        return columns

    def check_found(self, found: Collection[str]) -> None:
        """Checks the requested keys that have no value.

        Args:
            found: The columns that have values.

        Raises:
            UnknownKeyError: There is no such key.
        """
        names = set(found)
        if self.flatten:
            names.update(part for name in found for part in leading_names(name))
        missing = [key for key in self.keys or () if key not in names]
        if self.added_step and STEP in missing:
            missing.remove(STEP)
        if not missing:
            return
        try:
            known = self.known_keys()
        except UnknownKeyError:
            raise
        except HistoryError:
            # Reading the rows raises it, after the rows before.
            return
        check_known(missing, known or ())
