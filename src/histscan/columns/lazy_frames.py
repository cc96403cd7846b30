"""Polars lazy frames of histories: what a query needs is read, when it is collected."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from histscan.columns.predicates import ALL_STEPS, StepRange, conjuncts, step_range
from histscan.columns.typed_columns import TypedHistory
from histscan.common.install_hint import install_hint
from histscan.common.lazy import cached_property
from histscan.common.steps import STEP

if TYPE_CHECKING:
    import polars

__all__ = ["LazyRequest", "LazySource", "RunFrames", "make_lazy_frame"]


@dataclass(frozen=True)
class LazyRequest:
    """What a query needs of a source.

    Attributes:
        columns: The columns to read.
        steps: The steps to read; rows of other steps may be left out.
        conditions: Expressions that are true for each row that is needed.
        rows: The number of rows that are needed; None if it is unknown.
    """

    columns: Sequence[str]
    steps: StepRange = ALL_STEPS
    conditions: Sequence[polars.Expr] = ()
    rows: int | None = None


class LazySource(Protocol):
    """What a lazy frame is made of."""

    @property
    def empty(self) -> polars.DataFrame:
        """The columns, without rows."""

    def read(self, request: LazyRequest) -> Generator[polars.DataFrame, None, None]:
        """Reads rows.

        Args:
            request: What is needed.

        Yields:
            Frames with the columns of the request, in the order of the rows. They have at least the needed rows.

        Raises:
            HistoryError: A row can't be read.
        """


class RunFrames:
    """The history of one run as a source.

    Args:
        history: The history.
    """

    def __init__(self, history: TypedHistory) -> None:
        self._history = history

    @cached_property
    def empty(self) -> polars.DataFrame:
        """See `LazySource.empty`."""
        import polars

        return polars.DataFrame(self._history.schema)

    def read(self, request: LazyRequest) -> Generator[polars.DataFrame, None, None]:
        """See `LazySource.read`."""
        import polars

        for part in self._history.read(request.columns, *request.steps):
            yield polars.DataFrame(part)


def make_lazy_frame(source: LazySource, name: str) -> polars.LazyFrame:
    """Makes a lazy frame.

    Args:
        source: What it reads.
        name: What query plans call it.

    Returns:
        The lazy frame.

    Raises:
        ImportError: polars is not installed, or has no plugins for sources.
    """
    try:
        from polars.io.plugins import register_io_source
    except ImportError as error:
        raise ImportError(f"scan_polars() needs polars 1.25 or newer: {install_hint('polars')}") from error
    reader = _Reader(source, name)
    return register_io_source(reader.read, schema=reader.schema)


class _Reader:
    """The functions that polars calls.

    Args:
        source: What is read.
        name: For ``repr()``.
    """

    def __init__(self, source: LazySource, name: str) -> None:
        self._source = source
        self._name = name

    def __repr__(self) -> str:
        return f"<lazy frame of {self._name}>"

    def schema(self) -> Any:
        """Returns the type of each column."""
        return self._source.empty.schema

    def read(
        self,
        with_columns: list[str] | None,
        predicate: polars.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[polars.DataFrame]:
        """Reads what polars asks for; see ``polars.io.plugins.register_io_source``."""
        empty = self._source.empty
        columns = empty.columns if with_columns is None else with_columns
        found = self._find(empty, columns, predicate, n_rows)
        is_first = True
        with closing(found):
            for frame in found:
                is_first = False
                yield from frame.iter_slices(batch_size) if batch_size and len(frame) > batch_size else (frame,)
        if is_first:
            yield empty.select(columns)

    def _find(
        self, empty: polars.DataFrame, columns: Sequence[str], predicate: polars.Expr | None, n_rows: int | None
    ) -> Generator[polars.DataFrame, None, None]:
        import polars

        needed = list(columns)
        conditions: list[polars.Expr] = []
        steps = ALL_STEPS
        if predicate is not None:
            needed.extend(name for name in predicate.meta.root_names() if name not in needed)
            # If rows are counted before the predicate is applied, others must not be left out.
            if n_rows is None:
                conditions = list(conjuncts(predicate))
                if empty.schema.get(STEP) == polars.Int64:
                    steps = step_range(predicate)
        if not steps:
            return
        left = n_rows
        frames = self._source.read(LazyRequest(needed, steps, conditions, n_rows))
        with closing(frames):
            for frame in frames:
                if left is not None:
                    frame = frame.head(left)
                    left -= len(frame)
                if predicate is not None:
                    frame = frame.filter(predicate)
                yield frame.select(columns)
                if left == 0:
                    return
