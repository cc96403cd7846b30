"""Which column each key of a scan belongs to."""

from typing_extensions import Self

from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.keys.item_selection import ItemSelection

class ColumnKeys:
    def __new__(cls, chunk: ColumnChunk, selection: ItemSelection | None, flatten: bool) -> Self: ...
