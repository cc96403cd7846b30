"""From pages to columns of cells."""

from collections.abc import Iterable, Sequence
from typing import Any

from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.pages.page import Page

class ColumnBuilder:
    def __init__(
        self,
        keys: Sequence[str] | None = None,
        *,
        flatten: bool = False,
        expected_rows: int = 0,
        notes_nulls: bool = False,
    ) -> None: ...
    @property
    def flatten(self) -> bool: ...
    @property
    def row_count(self) -> int: ...
    @property
    def is_full(self) -> bool: ...
    def add_page(self, page: Page, first: int = 0, limit: int | None = None) -> int: ...
    def add_whole_pages(self, pages: Iterable[Page | list[Any]]) -> tuple[int, int]: ...
    def add_rows(self, rows: Iterable[Any]) -> None: ...
    def take_chunk(self) -> ColumnChunk: ...
