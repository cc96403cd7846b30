"""The contract of scans: the members of every scan, wherever its rows come from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan
from histscan.columns.chunks import build_chunks
from histscan.columns.frames import Frames
from histscan.columns.options import ColumnOptions
from histscan.columns.threads import build_chunks_in_threads
from histscan.errors import HistoryError

if TYPE_CHECKING:
    from typing_extensions import Self

    from histscan.columns.passes import ColumnBatches

__all__ = ["Pages", "Scan", "Watcher"]

Pages = Iterator[Page | list[Any]]
"""The pages of a scan: pages of the core, or lists of dict rows."""

Watcher = Callable[[int, int], object]
"""A function that is called with the number of bytes read, in all passes together, and the number of rows."""


class Scan(RowScan, Frames):
    """An iterator over the rows of a history, and the same rows as columns.

    ``next()`` returns row after row; ``iter()`` restarts. The frame methods (`to_arrow`, `to_pandas`, `to_polars`,
    `batches`, ``__arrow_c_stream__``) read everything from the first step on, and do not affect the iteration. They use
    `pages`.

    Subclasses define `_load_next`, which the core calls to load the next page, and `add_location`.
    """

    def _repr_html_(self) -> str:
        from histscan.columns.scan_html import scan_html

        return scan_html(self)

    def pages(self) -> Pages:
        """Yields the pages from the first step on, without decoding rows.

        The iteration over rows continues afterwards where it was.

        Yields:
            Each page, or a list of rows.

        Raises:
            HistoryError: A page can't be read.
            RuntimeError: The scan is in use.
        """
        return self._pages()

    def column_pages(self) -> Pages:
        """Yields pages as `pages` does, but for columns: other keys of the rows must be there, too.

        Yields:
            Each page, or a list of rows.
        """
        return self.pages()

    def column_pages_of(self, keys: Sequence[str] | None) -> Pages:
        """Yields pages as `column_pages` does, of which only some keys are needed: sources may leave out the others.

        The caller must not use the scan for anything else.

        Args:
            keys: The keys that become columns; None for all.

        Yields:
            Each page, or a list of rows.
        """
        del keys
        return self.column_pages()

    def clone(self) -> Self:
        """Returns a copy of the scan with its own state, before its first row."""
        return copy.copy(self)

    def add_location(self, error: HistoryError) -> None:
        """Adds the location of an error that the scan knows: at least the run.

        Args:
            error: The error.
        """

    def _add_location(self, error: HistoryError) -> None:
        # The core calls it by this name.
        self.add_location(error)

    @property
    def size(self) -> int:
        """The approximate number of bytes to read; 0 if unknown."""
        return 0

    @property
    def bytes_read(self) -> int:
        """The number of bytes read so far."""
        return 0

    @property
    def column_keys(self) -> Sequence[str] | None:
        """The keys that become columns if the caller passes none; None for all keys of the rows."""
        return None

    @property
    def column_bytes(self) -> int:
        """The number of bytes that `read_columns` reads in all its passes; 0 if unknown."""
        return 0

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        options = options.with_default_keys(self.column_keys)
        try:
            chunks = list(
                build_chunks_in_threads(
                    self.column_pages(), keys=options.keys, flatten=options.flatten, threads=options.threads
                )
            )
        except HistoryError as error:
            self.add_location(error)
            raise
        return ArrowStream(merge_columns(chunks), chunks)

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        # Keeps all chunks in memory, because the last one may change the types. Scans of files read twice instead.
        options = options.with_default_keys(self.column_keys)
        chunks: list[ColumnChunk] = []
        failure: HistoryError | None = None
        try:
            chunks.extend(
                build_chunks(self.column_pages(), keys=options.keys, flatten=options.flatten, rows=options.rows)
            )
        except HistoryError as error:
            self.add_location(error)
            failure = error

        def rows_before_failure() -> Iterator[ColumnChunk]:
            yield from chunks
            if failure is not None:
                raise failure

        return ArrowStream(merge_columns(chunks), rows_before_failure())

    def read_columns(self, options: ColumnOptions, watch: Watcher | None = None) -> ColumnBatches:
        """Reads everything as record batches of one schema, for a file of columns; needs pyarrow.

        Args:
            options: The columns. The scan chooses the number of rows in a batch.
            watch: Called with the progress.

        Returns:
            The schema and the batches: the step first, then the other columns by name, unless keys are given. A schema
            has at least one column.

        Raises:
            HistoryError: A page or a row can't be read; also while reading the batches.
        """
        from histscan.columns.passes import read_once

        return read_once(self, options, watch)
