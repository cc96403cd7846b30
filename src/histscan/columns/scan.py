"""The contract of scans: what every scan has, whatever its rows come from."""

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
"""What a scan goes through: pages of the core, or lists of dict rows."""

Watcher = Callable[[int, int], object]
"""Is told how many bytes have been read, in all passes together, and how many rows there are."""


class Scan(RowScan, Frames):
    """An iterator over the rows of a history, and the same rows as columns.

    ``next()`` takes rows one by one; ``iter()`` starts over. The frame methods (`to_arrow`, `to_pandas`, `to_polars`,
    `batches`, ``__arrow_c_stream__``) read everything from the first step on, and leave the rows where they are. They
    follow from `pages`.

    What a subclass defines: how the next page is loaded (`_load_next`, which the core calls), and what errors say of
    the place (`add_location`).
    """

    def pages(self) -> Pages:
        """Goes from page to page, from the first step on, without decoding rows.

        Rows that are taken one by one go on afterwards where they were.

        Yields:
            Each page, or a list of rows.

        Raises:
            HistoryError: A page can't be read.
            RuntimeError: The scan is used for something else at the same time.
        """
        return self._pages()

    def column_pages(self) -> Pages:
        """Goes from page to page as `pages`, for columns: rows that lack keys asked for must not hide other keys.

        Yields:
            Each page, or a list of rows.
        """
        return self.pages()

    def clone(self) -> Self:
        """Returns the same scan with a state of its own, before its first row."""
        return copy.copy(self)

    def add_location(self, error: HistoryError) -> None:
        """Adds to an error what the scan knows of its place: the run at least.

        Args:
            error: The error.
        """

    def _add_location(self, error: HistoryError) -> None:
        # The core calls it by this name.
        self.add_location(error)

    @property
    def size(self) -> int:
        """About how many bytes there are to read; 0 if that is not known."""
        return 0

    @property
    def bytes_read(self) -> int:
        """How many of them have been read."""
        return 0

    @property
    def column_keys(self) -> Sequence[str] | None:
        """The keys that are columns where the caller names none; None for whatever the rows have."""
        return None

    @property
    def column_bytes(self) -> int:
        """Bytes that `read_columns` reads, in all its passes; 0 if that is not known."""
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
        # All chunks are in memory: the last may decide the first one's types. Scans that can be read twice do better.
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
            options: Which columns. How many rows a batch has is for the scan to choose.
            watch: Is told how far it is.

        Returns:
            The schema, and the batches: the step first, then the other columns by name, unless keys were asked for.
            A schema has a column at least.

        Raises:
            HistoryError: A page or a row can't be read; also while reading the batches.
        """
        from histscan.columns.passes import read_once

        return read_once(self, options, watch)
