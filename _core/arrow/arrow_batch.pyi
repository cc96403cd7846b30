from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from histscan._core.arrow.arrow_values import ArrowValues

class _ArraySource(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

class ArrowBatch(ArrowValues):
    run: str | None
    page: str | None
    first_row: int
    source: Any
    origin: int
    @property
    def next_step(self) -> int | None: ...
    def __init__(
        self,
        source: _ArraySource,
        *,
        keys: Sequence[str] | None = None,
        required: Iterable[str] = (),
        steps: array[int] | None = None,
        plain_steps: bool = False,
        fills_gaps: bool = False,
    ) -> None: ...
    def __len__(self) -> int: ...
    def order_by_step(self, min_step: int, stop_step: int) -> None: ...
