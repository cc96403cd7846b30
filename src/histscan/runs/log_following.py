"""Reads the rows that are added to a log while it is written."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.common.quiet import quiet
from histscan.errors import HistoryError, LogFormatError
from histscan.runs.log_ends import EXIT_FIELD, exit_code_of
from histscan.runs.log_pages import read_pages

__all__ = ["GrowingLog"]


class GrowingLog:
    """A log that is being written.

    It is read again from its beginning when it has grown, which takes a second for some gigabytes: the rows that are
    known are not decoded. A record that is not complete yet is left for the next time.

    Args:
        path: The log.
        skip_corrupt: Skip corrupt parts, instead of raising an error there.

    Attributes:
        exit_code: The exit code of the run; None as long as the log has no end.
        has_failed: True if the log is corrupt behind the rows that were returned: the next call raises the error.
    """

    def __init__(self, path: Path, *, skip_corrupt: bool = False) -> None:
        self.exit_code: int | None = None
        self._path = path
        self._skip_corrupt = skip_corrupt
        self._size = -1
        self._rows = 0
        self._error: HistoryError | None = None

    @property
    def has_failed(self) -> bool:
        """See the class."""
        return self._error is not None

    def new_rows(self) -> Iterator[Any]:
        """Reads the rows that were added since the last time; at the first time, all.

        Yields:
            The rows. The caller must take all of them.

        Raises:
            HistoryError: The log is corrupt; every row before was returned. Or it was replaced by a shorter one.
            OSError: The log can't be read.
        """
        if self._error is not None:
            raise self._error
        size = os.stat(self._path).st_size
        if size == self._size:
            return
        reader = LogReader(self._skip_corrupt)
        seen = 0
        with closing(self._pages(reader, size)) as pages:
            for page in pages:
                before, seen = seen, seen + len(page)
                for ended in page.records(EXIT_FIELD):
                    self.exit_code = exit_code_of(ended, self.exit_code)
                if seen > self._rows or reader.is_finished:
                    yield from self._rows_of(page, max(self._rows - before, 0))
        if seen < self._rows:
            raise LogFormatError("the log has fewer rows than before: it was replaced", run=str(self._path))
        self._size, self._rows = size, seen

    def _pages(self, reader: LogReader, size: int) -> Generator[LogPage, None, None]:
        """Reads pages without warnings: that the log ends within a record is expected."""
        with closing(read_pages(self._path, reader, size, checks_rows=True)) as pages:
            while True:
                # Not around the `yield`, at which the caller's code runs.
                with quiet():
                    page = next(pages, None)
                if page is None:
                    return
                yield page

    def _rows_of(self, page: LogPage, first: int) -> list[Any]:
        """Returns the rows of a page from one on; if the log is corrupt there, those before."""
        try:
            return page.rows()[first:]
        except HistoryError as error:
            error.add_location(run=str(self._path))
            self._error = error
            return [page.row(place) for place in range(first, len(page))]
