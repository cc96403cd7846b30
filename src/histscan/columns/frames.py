"""Histories as columns: for Arrow, pandas, polars, and other consumers of Arrow's PyCapsules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from histscan.columns.options import DEFAULT_BATCH_ROWS, ColumnOptions
from histscan.columns.reductions import Reduction
from histscan.common.install_hint import install_hint

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from typing_extensions import Unpack

    from histscan.columns.reductions import ReduceArguments

__all__ = ["Frames", "stream_batches"]


class Frames:
    """The frame methods of scans and runs. Every call scans from the first row.

    Subclasses define `column_stream` and `batch_stream`.
    """

    @abstractmethod
    def column_stream(self, options: ColumnOptions) -> Any:
        """Reads everything into columns.

        Args:
            options: The columns.

        Returns:
            An object with ``__arrow_c_stream__``. The types of the columns are valid for all rows.

        Raises:
            HistoryError: A page or a row can't be read.
        """

    @abstractmethod
    def batch_stream(self, options: ColumnOptions) -> Any:
        """Streams batches of `options.rows` rows of one schema.

        Args:
            options: The columns.

        Returns:
            An object with ``__arrow_c_stream__``, and the attribute ``error``: what ended the stream early, or None.
        """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Returns the scan as a stream of record batches, for consumers of Arrow's PyCapsules.

        Args:
            requested_schema: The schema that the consumer prefers; the stream may have another one.

        Returns:
            A capsule of an ``ArrowArrayStream``.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return self.column_stream(ColumnOptions()).__arrow_c_stream__(requested_schema)

    def to_arrow(
        self,
        keys: Sequence[str] | None = None,
        *,
        nested: str = "json",
        threads: int | None = None,
        **reduction: Unpack[ReduceArguments],
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
            threads: The number of threads that build columns; None for one per core, at most four.
            **reduction: Fewer rows than were logged: the last ones, samples, or rows on a common axis; see
                `histscan.columns.reductions.ReduceArguments`.

        Returns:
            A ``pyarrow.Table``. Types are valid for all rows; ``histscan._core.columns.column_types`` has the rules.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
        """
        pyarrow = _import_pyarrow()
        reduced = Reduction.of(reduction)
        if keys is not None and reduced.needs_axis and reduced.x not in keys:
            keys = [reduced.x, *keys]
        stream = self.column_stream(ColumnOptions.of(keys, nested, threads=threads))
        table = pyarrow.RecordBatchReader.from_stream(stream).read_all()
        return reduced.apply(table, [0, len(table)])[0] if reduced.reduces else table

    def to_pandas(
        self,
        keys: Sequence[str] | None = None,
        *,
        nested: str = "json",
        threads: int | None = None,
        **reduction: Unpack[ReduceArguments],
    ) -> pandas.DataFrame:
        """Scans everything into a pandas frame. Needs pandas and pyarrow.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            threads: As for `to_arrow`.
            **reduction: As for `to_arrow`.

        Returns:
            A ``pandas.DataFrame``, with the types of ``pyarrow.Table.to_pandas``.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pandas or pyarrow is not installed.
        """
        return self.to_arrow(keys, nested=nested, threads=threads, **reduction).to_pandas(ignore_metadata=True)

    def to_polars(
        self,
        keys: Sequence[str] | None = None,
        *,
        nested: str = "json",
        threads: int | None = None,
        **reduction: Unpack[ReduceArguments],
    ) -> polars.DataFrame:
        """Scans everything into a polars frame; needs polars, and pyarrow only for fewer rows than were logged.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            threads: As for `to_arrow`.
            **reduction: As for `to_arrow`.

        Returns:
            A ``polars.DataFrame``.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise ImportError(f"to_polars() needs polars: {install_hint('polars')}") from error
        if Reduction.of(reduction).reduces:
            return polars.DataFrame(self.to_arrow(keys, nested=nested, threads=threads, **reduction))
        return polars.DataFrame(self.column_stream(ColumnOptions.of(keys, nested, threads=threads)))

    def batches(
        self, keys: Sequence[str] | None = None, *, rows: int = DEFAULT_BATCH_ROWS, nested: str = "json"
    ) -> Iterator[pyarrow.RecordBatch]:
        """Scans into record batches of one schema.

        Args:
            keys: As for `to_arrow`.
            rows: Rows in a batch; the last one may have fewer.
            nested: As for `to_arrow`.

        Yields:
            ``pyarrow.RecordBatch`` objects.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: pyarrow is not installed.
        """
        yield from stream_batches(self.batch_stream(ColumnOptions.of(keys, nested, rows=rows)))


def stream_batches(stream: Any) -> Iterator[pyarrow.RecordBatch]:
    """Reads a stream of `Frames.batch_stream`.

    Args:
        stream: The stream.

    Yields:
        Its batches.

    Raises:
        HistoryError: A page or a row can't be read; raised instead of the error that pyarrow makes of it.
        ImportError: pyarrow is not installed.
    """
    pyarrow = _import_pyarrow()
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


def _import_pyarrow() -> Any:
    """Imports pyarrow, or raises an error that says what to install."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"Arrow tables need pyarrow: {install_hint('arrow')}") from error
    return pyarrow
