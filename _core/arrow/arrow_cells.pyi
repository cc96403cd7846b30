"""Values of an Arrow record batch, written straight into columns."""

from typing_extensions import Self

from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.keys.item_selection import ItemSelection

class ArrowCells:
    @property
    def needs_slow_path(self) -> bool: ...
    def __new__(cls, batch: ArrowBatch, chunk: ColumnChunk, selection: ItemSelection | None, flatten: bool) -> Self: ...
