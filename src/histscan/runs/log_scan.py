"""Scanning the history in a ``.wandb`` log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from histscan._core.arrow_stream import ArrowStream
from histscan._core.column_chunk import ColumnChunk
from histscan._core.column_types import merge_columns
from histscan._core.item_selection import ItemSelection
from histscan._core.page import Page
from histscan._core.scan import RowScan
from histscan.columns.chunks import build_chunks
from histscan.columns.frames import ColumnExports
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.paging.page_stream import PageStream
from histscan.runs.log_segments import LogSegments, ReadProgress, quiet

__all__ = ["UNBOUNDED", "LogScan"]

UNBOUNDED = sys.maxsize
"""The stop step of a scan that goes to the end of the log."""


class LogScan(RowScan, ColumnExports):
    """Iterates over the rows of a run's ``.wandb`` logs; made by :meth:`histscan.LogRun.scan_history`.

    A page is what one window of a file holds. ``iter()`` starts over, and sees what was appended meanwhile.

    Args:
        logs: The logs; a path is a single one.
        keys: Only rows that have all of these, and of them only these; None for all rows as they are.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end of the logs.
        skip_corrupt: Of a path: skip corrupt parts of the file with a warning, instead of raising there.

    Attributes:
        path: The log; of several, the folder that they are in.
        size: Bytes of the files when the scan was made; 0 if they could not be found.
    """

    def __init__(
        self,
        logs: Path | LogSegments,
        *,
        keys: Iterable[str] | None = None,
        min_step: int = 0,
        stop_step: int = UNBOUNDED,
        skip_corrupt: bool = False,
    ) -> None:
        self._logs = LogSegments([logs], logs, skip_corrupt=skip_corrupt) if isinstance(logs, Path) else logs
        self.path = self._logs.path
        try:
            self.size = sum(self._logs.sizes())
        except OSError:
            # Reading says what is wrong: an error while unpickling would end a worker of a pool, which then hangs.
            self.size = 0
        self.keys = None if keys is None else list(keys)
        self._selection = ItemSelection(self.keys) if self.keys else None
        self._limits: Sequence[int] | None = None
        super().__init__(min_step, stop_step)

    def _start_over(self) -> None:
        super()._start_over()
        self._progress = ReadProgress()
        # Steps may go back, after a rewind: a page beyond the last wanted step only ends the scan of a log that is
        # known to have none.
        self._may_stop_early = self._stop_step != UNBOUNDED and self._logs.is_ascending()
        self._page_source = PageStream(self._logs.read_pages(self._limits, self._progress))

    def _anew(self) -> LogScan:
        """The same scan with a state of its own."""
        return LogScan(self._logs, keys=self.keys, min_step=self.min_step, stop_step=self._stop_step)

    def _pages(self) -> Iterator[Page | list[Any]]:
        # A scan of its own for every pass: rows and columns, and several readers, keep out of each other's way.
        return super(LogScan, self._anew())._pages()

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> ArrowStream:
        """Streams chunks of `rows` rows in bounded memory: a first pass over the log finds the columns' types."""
        wanted, flatten = self._column_keys(keys), self._flatten(nested, rows)
        # What is appended between the passes could have other types: both read what is there now.
        limits = self.sizes()

        def chunks() -> Iterator[ColumnChunk]:
            scan = self._anew()
            scan._limits = limits
            try:
                yield from build_chunks(super(LogScan, scan)._pages(), keys=wanted, flatten=flatten, rows=rows)
            except HistoryError as error:
                scan._add_location(error)
                raise

        def readable_chunks() -> Iterator[ColumnChunk]:
            # The second pass raises what this one meets, behind the rows before it.
            with contextlib.suppress(HistoryError):
                yield from chunks()

        with quiet():  # the second pass warns
            columns = merge_columns(readable_chunks())
        return ArrowStream(columns, chunks())

    @property
    def bytes_read(self) -> int:
        """How much of the files has been read, in bytes."""
        return self._progress.bytes_read

    def sizes(self) -> tuple[int, ...]:
        """Returns the present size of each file, in bytes."""
        return self._logs.sizes()

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
            steps = page.step_range()
            if self._may_stop_early and steps is not None and steps[0] >= self._stop_step:
                self._page_source.close()
            page.select_steps(self.min_step, self._stop_step)
        if self._selection is not None:
            page.select_keys(self._selection)
        self._take_page(page)

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=str(self.path))
