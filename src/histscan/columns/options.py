"""The options of the frame methods as one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from histscan.common.keys import check_keys, lead_columns

__all__ = ["DEFAULT_BATCH_ROWS", "ColumnOptions"]

DEFAULT_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class ColumnOptions:
    """How rows become columns.

    Attributes:
        keys: The keys to make columns of, in this order; None for all keys.
        flatten: Nested values become columns with dotted names, instead of JSON text.
        threads: The number of threads that build columns; None for one per core, at most four.
        rows: Rows in a batch, for streams of batches.
    """

    keys: Sequence[str] | None = None
    flatten: bool = False
    threads: int | None = None
    rows: int = DEFAULT_BATCH_ROWS

    @classmethod
    def of(
        cls,
        keys: Sequence[str] | None = None,
        nested: str = "json",
        *,
        threads: int | None = None,
        rows: int = DEFAULT_BATCH_ROWS,
    ) -> ColumnOptions:
        """Checks the arguments of a frame method.

        Args:
            keys: As `keys`.
            nested: ``"json"`` or ``"flatten"``.
            threads: As `threads`.
            rows: As `rows`.

        Returns:
            The options.

        Raises:
            ValueError: An argument is out of its range.
        """
        wanted = check_keys(keys)
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        if nested not in ("json", "flatten"):
            raise ValueError(f"nested must be 'json' or 'flatten', not {nested!r}")
        return cls(wanted, nested == "flatten", threads, rows)

    def with_default_keys(self, keys: Sequence[str] | None) -> ColumnOptions:
        """Returns the options, with the given keys if they have none.

        Args:
            keys: The keys.
        """
        return self if self.keys is not None or keys is None else replace(self, keys=keys)

    def in_order(self, formats: Mapping[str, str]) -> dict[str, str]:
        """Orders the columns that were found.

        Args:
            formats: The format of each column, in the order in which the columns first appeared.

        Returns:
            The same; for all keys, with the columns first that wandb adds to each row.
        """
        return {name: formats[name] for name in lead_columns(formats)} if self.keys is None else dict(formats)
