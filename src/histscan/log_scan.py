"""Scanning the history in a ``.wandb`` log."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from histscan._core.arrow_stream import ArrowStream
from histscan._core.column_chunk import ColumnChunk
from histscan._core.column_types import merge_columns
from histscan._core.item_selection import ItemSelection
from histscan._core.log_page import LogPage
from histscan._core.log_reader import LogReader
from histscan._core.page import Page
from histscan._core.scan import RowScan
from histscan.column_chunks import build_chunks
from histscan.errors import HistoryDecodeError, HistoryError, LogCorruptWarning, LogTruncatedWarning
from histscan.frames import ColumnExports
from histscan.page_stream import PageStream
from histscan.sources.wandb_log import read_windows

__all__ = ["UNBOUNDED", "LogScan", "read_pages"]

UNBOUNDED = sys.maxsize
"""The stop step of a scan that goes to the end of the log."""


def read_pages(path: Path, reader: LogReader, limit: int | None = None) -> Generator[LogPage, None, None]:
    """Reads a log page by page, and warns at its end of what is missing.

    Args:
        path: The log.
        reader: A fresh reader; tells the caller how far it has come.
        limit: Bytes of the file to read; None for all.

    Yields:
        The records of each window of the file.

    Raises:
        LogFormatError: The file is empty, or no wandb log.
        OSError: The file can't be read.
    """
    for window, is_last in read_windows(path, limit=limit):
        yield reader.read_window(window, is_last)
        if reader.is_finished:
            break
    if reader.corrupt_at:
        count = len(reader.corrupt_at)
        places = ", ".join(map(str, reader.corrupt_at[:5])) + (", …" if len(reader.corrupt_at) > 5 else "")
        warnings.warn(
            f"{path}: {count} corrupt part{'s were' if count > 1 else ' was'} passed over (at byte {places}); "
            "rows may be missing",
            LogCorruptWarning,
            stacklevel=2,
        )
    if reader.truncated_at is not None:
        warnings.warn(
            f"{path} ends within a record (from byte {reader.truncated_at}): it is still being written, or its "
            "writer was stopped. Every complete row was read",
            LogTruncatedWarning,
            stacklevel=2,
        )
    elif reader.offset == 7:
        warnings.warn(
            f"{path} has no records yet: it is still being written, or its writer was stopped at once",
            LogTruncatedWarning,
            stacklevel=2,
        )


class LogScan(RowScan, ColumnExports):
    """Iterates over the rows of a ``.wandb`` log; made by :meth:`histscan.LogRun.scan_history`.

    A page is what one window of the file holds. ``iter()`` starts over, and sees what was appended meanwhile.

    Args:
        path: The log.
        keys: Only rows that have all of these, and of them only these; None for all rows as they are.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end of the log.
        skip_corrupt: Pass over corrupt parts of the file with a warning, instead of raising there.
        size: Bytes of the file when the scan was made, for progress; 0 if unknown.

    Attributes:
        path: The log.
        size: Bytes of the file when the scan was made.
    """

    def __init__(
        self,
        path: Path,
        *,
        keys: Iterable[str] | None = None,
        min_step: int = 0,
        stop_step: int = UNBOUNDED,
        skip_corrupt: bool = False,
        size: int = 0,
    ) -> None:
        self.path = path
        self.size = size
        self.keys = None if keys is None else list(keys)
        self._selection = ItemSelection(self.keys) if self.keys else None
        self._skip_corrupt = skip_corrupt
        self._limit: int | None = None
        super().__init__(min_step, stop_step)

    def _start_over(self) -> None:
        super()._start_over()
        self._reader = LogReader(skip_corrupt=self._skip_corrupt)
        self._page_source = PageStream(read_pages(self.path, self._reader, self._limit))

    def _anew(self) -> LogScan:
        """The same scan with a state of its own."""
        return LogScan(
            self.path,
            keys=self.keys,
            min_step=self.min_step,
            stop_step=self._stop_step,
            skip_corrupt=self._skip_corrupt,
            size=self.size,
        )

    def _pages(self) -> Iterator[Page | list[Any]]:
        # A scan of its own for every pass: rows and columns, and several readers, keep out of each other's way.
        return super(LogScan, self._anew())._pages()

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> ArrowStream:
        """Streams chunks of `rows` rows in bounded memory: a first pass over the log finds the columns' types."""
        wanted, flatten = self._column_keys(keys), self._flatten(nested, rows)
        # What is appended between the passes could have other types: both read what is there now.
        limit = self.path.stat().st_size

        def chunks() -> Iterator[ColumnChunk]:
            scan = self._anew()
            scan._limit = limit
            try:
                yield from build_chunks(super(LogScan, scan)._pages(), keys=wanted, flatten=flatten, rows=rows)
            except HistoryError as error:
                scan._add_location(error)
                raise

        def readable_chunks() -> Iterator[ColumnChunk]:
            # The second pass raises what this one meets, behind the rows before it.
            with contextlib.suppress(HistoryError):
                yield from chunks()

        return ArrowStream(merge_columns(readable_chunks()), chunks())

    @property
    def bytes_read(self) -> int:
        """How much of the file has been read, in bytes."""
        return self._reader.offset

    def _column_keys(self, keys: Sequence[str] | None) -> Sequence[str] | None:
        # The scan's own keys choose rows of a page, but leave all of their items there.
        return super()._column_keys(self.keys or None if keys is None else keys)

    def _load_next(self) -> None:
        try:
            page = self._page_source.take()
        except HistoryDecodeError as error:
            self._add_location(error)
            raise
        if page is None:
            self.page_offset = self._stop_step
            self._take_rows([])
            return
        if self.min_step > 0 or self._stop_step != UNBOUNDED:
            steps = page.steps()
            if steps is not None:
                lowest, highest = steps
                if lowest >= self._stop_step:
                    # Steps only rise along a log: nothing behind this page can be wanted.
                    self._page_source.close()
                if lowest < self.min_step or highest >= self._stop_step:
                    page.select_steps(self.min_step, self._stop_step)
        if self._selection is not None:
            page.select_keys(self._selection)
        self._take_page(page)

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=str(self.path))
