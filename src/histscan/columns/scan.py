"""The contract of scans: the members of every scan, wherever its rows come from."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import merge_columns
from histscan._core.pages.page import Page
from histscan._core.rows.scan import RowScan, share_next_slot
from histscan.columns.chunks import build_chunks
from histscan.columns.frames import FileSource, Frames
from histscan.columns.options import ColumnOptions
from histscan.columns.threads import build_chunks_in_threads
from histscan.columns.typed_columns import kind_of_flags
from histscan.common.key_info import KeyInfo
from histscan.common.keys import in_order
from histscan.common.quiet import quiet
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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        share_next_slot(cls)

    def __aiter__(self) -> AsyncGenerator[dict[str, Any], None]:
        """Iterates over all rows from asyncio: ``async for row in scan``.

        Pages are loaded in a thread. The iteration starts at the first row, and does not affect ``next()``.

        Returns:
            The rows. If a loop may end early, use ``contextlib.aclosing``, which cancels the request in flight.
        """
        from histscan.columns.async_rows import iterate_rows

        return iterate_rows(self)

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

    def known_keys(self) -> Sequence[str] | None:
        """Finds all keys of the history, nested ones dotted.

        Returns:
            The keys; None if the scan does not have all rows of the history, or should not request them twice.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return None

    def count_keys(self) -> list[KeyInfo]:
        """Reads the keys of all rows of the scan, with types and counts.

        Returns:
            The keys: the step first, then the others by name; nested ones are dotted.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        flags: dict[str, int] = {}
        counts: dict[str, int] = {}
        try:
            with quiet():
                for chunk in build_chunks_in_threads(self.column_pages(), keys=None, flatten=True):
                    for name, seen, count in zip(chunk.names, chunk.type_flags(), chunk.value_counts(), strict=True):
                        flags[name] = flags.get(name, 0) | seen
                        counts[name] = counts.get(name, 0) + count
        except HistoryError as error:
            self.add_location(error)
            raise
        return [KeyInfo(name, kind_of_flags(flags[name]), counts[name]) for name in in_order(flags)]

    def choose_columns(self, options: ColumnOptions) -> ColumnOptions:
        """Chooses the keys that become columns; see `ColumnOptions.choose`.

        Args:
            options: The options of the caller.

        Returns:
            The options to read with.

        Raises:
            HistoryError: The keys can't be found, or no key matches a pattern.
        """
        try:
            return options.choose(self.column_keys, self.known_keys)
        except HistoryError as error:
            self.add_location(error)
            raise

    def arrange_columns(self, formats: Mapping[str, str], options: ColumnOptions) -> dict[str, str]:
        """Orders and checks the columns that were found; see `ColumnOptions.arrange`.

        Args:
            formats: The format of each column, in the order in which the columns first appeared.
            options: From `choose_columns`.

        Returns:
            The format of each column, in its place.

        Raises:
            UnknownKeyError: There is no such key.
        """
        try:
            return options.arrange(formats)
        except HistoryError as error:
            self.add_location(error)
            raise

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        options = self.choose_columns(options)
        try:
            chunks = list(
                build_chunks_in_threads(
                    self.column_pages(), keys=options.keys, flatten=options.flatten, threads=options.threads
                )
            )
        except HistoryError as error:
            self.add_location(error)
            raise
        return ArrowStream(self.arrange_columns(merge_columns(chunks), options), chunks)

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        # Keeps all chunks in memory, because the last one may change the types. Scans of files read twice instead.
        options = self.choose_columns(options)
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

        return ArrowStream(self.arrange_columns(merge_columns(chunks), options), rows_before_failure())

    @property
    def has_logged_order(self) -> bool:
        """True if the keys of dict rows are in the order in which they were logged: not in logs of wandb's core."""
        return True

    def file_source(self, options: ColumnOptions) -> FileSource:
        """See `Frames.file_source`."""
        return FileSource(self, options, {})

    def read_columns(self, options: ColumnOptions, watch: Watcher | None = None) -> ColumnBatches:
        """Reads everything as record batches of one schema, for a file of columns; needs pyarrow.

        Args:
            options: The columns. The scan chooses the number of rows in a batch.
            watch: Called with the progress.

        Returns:
            The schema and the batches, with the columns in the order of `Frames.to_arrow`. A schema has at least one
            column.

        Raises:
            HistoryError: A page or a row can't be read; also while reading the batches.
        """
        from histscan.columns.passes import read_once

        return read_once(self, options, watch)
