from collections.abc import Iterable

from typing_extensions import Self

class ItemSelection:
    def __new__(cls, keys: Iterable[str]) -> Self: ...
    @property
    def keys(self) -> tuple[str, ...]: ...

class SelectedRow: ...
