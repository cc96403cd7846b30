from collections.abc import Iterable

from typing_extensions import Buffer

class ColumnValidity:
    def __init__(self, length: int, validity: Buffer | None = None, offset: int = 0) -> None: ...
    def __len__(self) -> int: ...

class NumberColumn(ColumnValidity):
    def __init__(
        self,
        length: int,
        validity: Buffer | None = None,
        offset: int = 0,
        *,
        values: Buffer,
        is_integer: bool = False,
    ) -> None: ...

class Segments:
    @property
    def row_count(self) -> int: ...
    def __init__(self, offsets: Iterable[int], row_count: int) -> None: ...
    def __len__(self) -> int: ...
