"""Scans as columns: Arrow, pandas, polars, and whatever else takes Arrow's PyCapsules.

Pages go into the core's column builder, which needs neither the GIL nor Python objects for the values; what comes out
is handed to the consumer without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.arrow_stream import ArrowStream
from histscan._core.column_chunk import ColumnChunk
from histscan._core.column_types import merge_columns
from histscan._core.page import Page
from histscan.columns.chunks import build_chunks
from histscan.columns.threads import build_chunks_in_threads, default_threads
from histscan.errors import HistoryError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["DEFAULT_BATCH_ROWS", "ColumnExports"]

DEFAULT_BATCH_ROWS = 65_536


class ColumnExports:
    """The columnar side of a scan: mixed into every scan class, beside its rows.

    Whatever is asked for here scans anew from the first row, so rows and columns can both be had of one scan object.
    """

    if TYPE_CHECKING:

        def _pages(self) -> Iterator[Page | list[Any]]: ...

        def _add_location(self, error: HistoryError) -> None: ...

    def __getstate__(self) -> dict[str, Any]:
        # For pickles of runs; those of scans have no state. They may be read in another folder.
        return {name: _absolute(value) for name, value in self.__dict__.items()}

    def _column_keys(self, keys: Sequence[str] | None) -> Sequence[str] | None:
        """The keys to make columns of; None for whatever the rows have."""
        if isinstance(keys, str):
            raise ValueError(f"keys must be a list of strings, not {keys!r}")
        return None if keys is None else list(keys)

    def _flatten(self, nested: str, rows: int = 1) -> bool:
        """Whether nested values become columns of their own; refuses what the arguments may not be."""
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows}")
        if nested not in ("json", "flatten"):
            raise ValueError(f"nested is 'json' or 'flatten', not {nested!r}")
        return nested == "flatten"

    def _stream(
        self, keys: Sequence[str] | None = None, nested: str = "json", threads: int | None = None
    ) -> ArrowStream:
        """Scans everything into chunks, and streams them."""
        wanted, flatten = self._column_keys(keys), self._flatten(nested)
        threads = default_threads() if threads is None else threads
        try:
            chunks = list(build_chunks_in_threads(self._pages(), keys=wanted, flatten=flatten, threads=threads))
        except HistoryError as error:
            self._add_location(error)
            raise
        return ArrowStream(merge_columns(chunks), chunks)

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> ArrowStream:
        """Streams chunks of `rows` rows; all of them are in memory, as the last may decide the first one's types."""
        wanted, flatten = self._column_keys(keys), self._flatten(nested, rows)
        chunks: list[ColumnChunk] = []
        failure: HistoryError | None = None
        try:
            chunks.extend(build_chunks(self._pages(), keys=wanted, flatten=flatten, rows=rows))
        except HistoryError as error:
            self._add_location(error)
            failure = error

        def rows_before_failure() -> Iterator[ColumnChunk]:
            yield from chunks
            if failure is not None:
                raise failure

        return ArrowStream(merge_columns(chunks), rows_before_failure())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The scan as a stream of record batches, for anything that takes Arrow's PyCapsules.

        Args:
            requested_schema: What the consumer would prefer; it has to take the columns as they are.

        Returns:
            A capsule of an ``ArrowArrayStream``.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return self._stream().__arrow_c_stream__(requested_schema)

    def to_arrow(
        self, keys: Sequence[str] | None = None, *, nested: str = "json", threads: int | None = None
    ) -> pyarrow.Table:
        """Scans everything into an Arrow table.

        Args:
            keys: The keys to make columns of, in this order; the others' values are not even read, so nothing
                malformed is noticed there. All rows are there: where one lacks a key, its value is null. Nested keys
                may be dotted. None for all keys.
            nested: ``"json"`` makes one column of JSON text (Arrow's ``arrow.json``) of nested values;
                ``"flatten"`` makes columns with dotted names, in the order in which they first appear. (A key that
                has a dot of its own and a nested one of the same dotted name share a column; where a row has both,
                the later one counts.)
            threads: How many threads build columns; None for one on each core, four at most.

        Returns:
            A ``pyarrow.Table``. Types hold for the whole scan; see ``histscan._core.column_types`` for the rules.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
        """
        pyarrow = _import_pyarrow()
        stream = self._stream(keys, nested, threads)
        return pyarrow.RecordBatchReader.from_stream(stream).read_all()

    def to_pandas(
        self, keys: Sequence[str] | None = None, *, nested: str = "json", threads: int | None = None
    ) -> pandas.DataFrame:
        """Scans everything into a pandas frame. Needs pandas and pyarrow.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            threads: As for `to_arrow`.

        Returns:
            A ``pandas.DataFrame``, with the types that ``pyarrow.Table.to_pandas`` gives.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pandas or pyarrow is not installed.
        """
        return self.to_arrow(keys, nested=nested, threads=threads).to_pandas(ignore_metadata=True)

    def to_polars(
        self, keys: Sequence[str] | None = None, *, nested: str = "json", threads: int | None = None
    ) -> polars.DataFrame:
        """Scans everything into a polars frame; needs polars, but not pyarrow.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            threads: As for `to_arrow`.

        Returns:
            A ``polars.DataFrame``.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise ImportError("to_polars() needs polars: pip install 'histscan[polars]'") from error
        return polars.DataFrame(self._stream(keys, nested, threads))

    def batches(
        self, keys: Sequence[str] | None = None, *, rows: int = DEFAULT_BATCH_ROWS, nested: str = "json"
    ) -> Iterator[pyarrow.RecordBatch]:
        """Scans into record batches of one schema.

        Args:
            keys: As for `to_arrow`.
            rows: Rows in a batch; the last one has what is left.
            nested: As for `to_arrow`.

        Yields:
            ``pyarrow.RecordBatch`` objects.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed.
        """
        pyarrow = _import_pyarrow()
        stream = self._batch_stream(keys, nested, rows)
        reader = pyarrow.RecordBatchReader.from_stream(stream)
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (OSError, pyarrow.ArrowException):
                if stream.error is not None:
                    raise stream.error from None
                raise
            yield batch


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    return value.absolute() if isinstance(value, Path) else value


def _import_pyarrow() -> Any:
    """Imports pyarrow, or says what to install."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("Arrow tables need pyarrow: pip install 'histscan[arrow]'") from error
    return pyarrow
