"""The sizes that the footer of a Parquet file claims, checked before memory is taken for them.

A file of some kilobytes can claim, and even have, billions of rows: runs of equal values take no room in Parquet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from histscan.common.lazy import cached_property
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.sources.limits import MAX_ROW_GROUP, readable_size

__all__ = ["ClaimedSizes", "check_part"]

# Bytes of a value in memory: numbers have this width, and texts have offsets.
_VALUE_SIZE = 8


class ClaimedSizes:
    """What a footer claims about the row groups of a file.

    Args:
        name: The file's name in error messages.
        metadata: The ``pyarrow.parquet.FileMetaData``.

    Raises:
        HistoryDecodeError: The numbers of rows are not possible.
        HistoryError: The limit in the environment is not a size.
    """

    def __init__(self, name: str, metadata: Any) -> None:
        self._name = name
        self._metadata = metadata
        self._limit = MAX_ROW_GROUP.find()
        rows = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        if min(rows, default=0) < 0 or sum(rows) != metadata.num_rows:
            raise HistoryDecodeError(
                f"it is corrupt: its footer claims {metadata.num_rows} rows, and {sum(rows)} in its row groups",
                run=name,
            )

    @cached_property
    def _has_lists(self) -> bool:
        """True if a row may have many values in one column."""
        schema = self._metadata.schema
        return any(schema.column(place).max_repetition_level for place in range(self._metadata.num_columns))

    def check(self, index: int, columns: Collection[str] | None) -> None:
        """Checks that columns of a row group fit into memory.

        Args:
            index: The row group.
            columns: The paths of the columns to read; None for all.

        Raises:
            HistoryError: They are larger than the limit.
        """
        group = self._metadata.row_group(index)
        most = max(group.total_byte_size, 0) + group.num_rows * group.num_columns * _VALUE_SIZE
        if most <= self._limit and not self._has_lists:
            return
        size = 0
        for leaf in map(group.column, range(group.num_columns)):
            if columns is None or _is_within(leaf.path_in_schema, columns):
                size += max(leaf.total_uncompressed_size, leaf.num_values * _VALUE_SIZE)
        if size > self._limit:
            raise HistoryError(
                f"the columns to read of row group {index} take {group.num_rows:,} rows and {size:,} bytes, more than "
                f"{readable_size(self._limit)}B: read fewer columns (`keys`), or set "
                f"{MAX_ROW_GROUP.variable}={_enough(size)}",
                run=self._name,
            )


def check_part(name: str, size: int) -> None:
    """Checks the size of a part of a file that is fetched into memory.

    Args:
        name: The file's name in error messages.
        size: The size in bytes.

    Raises:
        HistoryError: The part is larger than the limit.
    """
    limit = MAX_ROW_GROUP.find()
    if size > limit:
        raise HistoryError(
            f"{name} has a part of {size:,} bytes, more than {readable_size(limit)}B: read fewer columns (`keys`), or "
            f"set {MAX_ROW_GROUP.variable}={_enough(size)}"
        )


def _enough(size: int) -> str:
    return readable_size(1 << (size - 1).bit_length())


def _is_within(path: str, columns: Collection[str]) -> bool:
    """Returns True if a leaf is one of the columns or a member of one."""
    names = path.split(".")
    return any(".".join(names[:length]) in columns for length in range(1, len(names) + 1))
