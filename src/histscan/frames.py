"""Scans as columns: Arrow, pandas, polars, and whatever else takes Arrow's PyCapsules.

Pages go into the core's column builder, which needs neither the GIL nor Python objects for the values; what comes out
is handed to the consumer without a copy.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from histscan._core.arrow_stream import ArrowStream
from histscan._core.column_builder import ColumnBuilder
from histscan._core.column_chunk import ColumnChunk
from histscan._core.column_types import merge_columns
from histscan._core.page import Page
from histscan.errors import HistoryError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["DEFAULT_BATCH_ROWS", "ColumnExports", "build_chunks", "build_chunks_in_threads", "default_threads"]

DEFAULT_BATCH_ROWS = 65_536

_PAGES_PER_TASK = 8
"""Pages that a thread builds one chunk of: enough to learn the keys' order once for many rows."""


def default_threads() -> int:
    """How many threads build columns where the caller does not say: one for each core, four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min(4, cores)


def _end(pages: Iterator[Page | list[Any]]) -> None:
    """Ends a generator of pages now: its scan has to be free again though a traceback may still hold the frames."""
    close = getattr(pages, "close", None)
    if close is not None:
        close()


def _add(builder: ColumnBuilder, page: Page | list[Any], first: int, limit: int | None) -> int:
    """Adds rows of a page, and says which page it was if that fails; returns the first row not added."""
    if not isinstance(page, Page):
        rows = page[first:] if limit is None else page[first : first + limit]
        builder.add_rows(rows)
        return first + len(rows)
    try:
        return builder.add_page(page, first, limit)
    except HistoryError as error:
        error.add_location(page=page.label)
        raise


def build_chunks(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, rows: int
) -> Iterator[ColumnChunk]:
    """Builds columns page by page.

    Args:
        pages: The scan's pages; lists of dict rows are taken as well.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        rows: Rows in a chunk.

    Yields:
        Chunks of `rows` rows, the last one of what is left. One is yielded even where there are no rows, so that
        keys asked for are columns in any case.

    Raises:
        HistoryError: A page can't be read; the rows before have been yielded.
    """
    builder = ColumnBuilder(keys, flatten=flatten)
    is_first = True
    source = iter(pages)
    try:
        for page in source:
            first = 0
            while True:
                first = _add(builder, page, first, rows - builder.row_count)
                if builder.row_count < rows and not builder.is_full:
                    break
                yield builder.take_chunk()
                is_first = False
                if first == len(page):
                    break
    except HistoryError:
        if builder.row_count:
            yield builder.take_chunk()
        raise
    finally:
        _end(source)
    if builder.row_count or is_first:
        yield builder.take_chunk()


def _build(builder: ColumnBuilder, pages: list[Page | list[Any]]) -> list[ColumnChunk]:
    """Builds columns of some pages: one chunk, unless there is so much text that it takes several."""
    chunks = []
    for page in pages:
        _add(builder, page, 0, None)
        if builder.is_full:
            chunks.append(builder.take_chunk())
    if builder.row_count or not chunks:
        chunks.append(builder.take_chunk())
    return chunks


def _build_here(builder: ColumnBuilder, pages: list[Page | list[Any]]) -> Future[list[ColumnChunk]]:
    """Builds columns of some pages right now; it fails when its turn comes."""
    future: Future[list[ColumnChunk]] = Future()
    try:
        future.set_result(_build(builder, pages))
    except Exception as error:
        future.set_exception(error)
    return future


def build_chunks_in_threads(
    pages: Iterable[Page | list[Any]], *, keys: Sequence[str] | None, flatten: bool, threads: int
) -> Iterator[ColumnChunk]:
    """Builds columns in several threads, of which the caller's is one; it fetches the pages, too.

    Args:
        pages: The scan's pages.
        keys: The keys to make columns of; None for all.
        flatten: Nested values become columns with dotted names.
        threads: How many threads.

    Yields:
        Chunks in the order of the pages; one even where there are no rows, as `build_chunks`.

    Raises:
        HistoryError: A page can't be read; of several, the first in the scan's order.
    """
    waiting: deque[Future[list[ColumnChunk]]] = deque()
    failure: Exception | None = None
    is_first = True
    columns = 0
    source = iter(pages)
    try:
        with ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="histscan-columns") as pool:
            in_hand: deque[Page | list[Any]] = deque()
            has_ended = False
            while True:
                while not has_ended and len(in_hand) < threads * _PAGES_PER_TASK:
                    try:
                        in_hand.append(next(source))
                    except StopIteration:
                        has_ended = True
                    except Exception as error:
                        # Raised once the pages before it have had their turn: they may fail, too.
                        failure, has_ended = error, True
                if not in_hand:
                    break
                is_first = False
                # The last tasks are small, so that all threads are ready at about the same time.
                size = -(-len(in_hand) // (2 * threads)) if has_ended else _PAGES_PER_TASK
                group = [in_hand.popleft() for _ in range(min(size, len(in_hand)))]
                rows = sum(map(len, group))
                builder = ColumnBuilder(keys, flatten=flatten, expected_rows=rows, expected_columns=columns)
                # The others have enough to do until this thread is back: then it is one of them.
                if sum(not future.done() for future in waiting) >= 2 * (threads - 1):
                    waiting.append(_build_here(builder, group))
                else:
                    waiting.append(pool.submit(_build, builder, group))
                while waiting and waiting[0].done():
                    for chunk in waiting.popleft().result():
                        columns = len(chunk.names)
                        yield chunk
            while waiting:
                yield from waiting.popleft().result()
    finally:
        _end(source)
    if failure is not None:
        raise failure
    if is_first:
        yield ColumnBuilder(keys, flatten=flatten).take_chunk()


class ColumnExports:
    """The columnar side of a scan: mixed into every scan class, beside its rows.

    Whatever is asked for here scans anew from the first row, so rows and columns can both be had of one scan object.
    """

    if TYPE_CHECKING:

        def _pages(self) -> Iterator[Page | list[Any]]: ...

        def _add_location(self, error: HistoryError) -> None: ...

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
            if threads > 1:
                chunks = list(build_chunks_in_threads(self._pages(), keys=wanted, flatten=flatten, threads=threads))
            else:
                chunks = list(build_chunks(self._pages(), keys=wanted, flatten=flatten, rows=DEFAULT_BATCH_ROWS))
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


def _import_pyarrow() -> Any:
    """Imports pyarrow, or says what to install."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("Arrow tables need pyarrow: pip install 'histscan[arrow]'") from error
    return pyarrow
