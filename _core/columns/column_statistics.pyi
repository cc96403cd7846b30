"""Statistics of the columns of a chunk."""

from typing import Any

from histscan._core.columns.column_chunk import ColumnChunk

class ColumnStatistics:
    bools: int
    integers: int
    floats: int
    nans: int
    texts: int
    lists: int
    nulls: int
    first_row: int | None
    last_row: int | None
    numbers: list[tuple[int | float, int]]
    others: list[tuple[int, Any]]

def column_statistics(chunk: ColumnChunk) -> list[ColumnStatistics]: ...
def column_value(chunk: ColumnChunk, name: str, row: int) -> Any: ...
