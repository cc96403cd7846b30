from collections.abc import Iterable

from typing_extensions import Buffer, Self

class ColumnValidity:
    def __new__(cls, length: int, validity: Buffer | None = None, offset: int = 0) -> Self: ...
    def __len__(self) -> int: ...

class NumberColumn(ColumnValidity):
    def __new__(
        cls,
        length: int,
        validity: Buffer | None = None,
        offset: int = 0,
        *,
        values: Buffer,
        is_integer: bool = False,
    ) -> Self: ...

class Segments:
    @property
    def row_count(self) -> int: ...
    def __new__(cls, offsets: Iterable[int], row_count: int) -> Self: ...
    def __len__(self) -> int: ...
