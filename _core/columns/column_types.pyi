"""Which Arrow type a column has, from what was seen in it over a whole scan."""

from collections.abc import Iterable

from histscan._core.columns.column_chunk import ColumnChunk

JSON_FORMAT: str

def column_format(type_flags: int) -> str: ...
def merge_columns(chunks: Iterable[ColumnChunk]) -> dict[str, str]: ...
