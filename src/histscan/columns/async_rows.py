"""Iterates over a scan from asyncio: pages are loaded and decoded in a thread, and the event loop is not blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from histscan._core.pages.page import Page
from histscan.columns.chunks import end_pages
from histscan.errors import HistoryError
from histscan.sources.cancellation import Cancellation, RequestCancelledError

if TYPE_CHECKING:
    from histscan.columns.scan import Pages, Scan

__all__ = ["iterate_rows"]


async def iterate_rows(scan: Scan) -> AsyncGenerator[dict[str, Any], None]:
    """Yields the rows of a scan from the first one on.

    If the task is cancelled, or the generator is closed, the request in flight is cancelled.

    Args:
        scan: The scan. Its own iteration is not affected.

    Yields:
        The rows, page by page: one thread is used for each page, so that `asyncio.to_thread` costs nothing by row.

    Raises:
        HistoryError: A page can't be read; the rows before were yielded.
        OSError: A file can't be read; likewise.
    """
    loader = _Loader(scan)
    try:
        while not loader.is_done:
            for row in await asyncio.to_thread(loader.load):
                yield row
            if loader.error is not None:
                raise loader.error
    finally:
        loader.close()


class _Loader:
    """Loads the pages of a scan, in whichever thread calls it.

    Args:
        scan: The scan.

    Attributes:
        is_done: True after the last page, and after an error.
        error: The error after the rows that were returned last; None if there was none.
    """

    def __init__(self, scan: Scan) -> None:
        self.is_done = False
        self.error: HistoryError | OSError | None = None
        self._scan = scan
        self._pages: Pages = scan.pages()
        self._cancellation = Cancellation()
        # Held while a page is loaded: a cancelled task does not wait for its thread, which then closes the pages.
        self._loading = threading.Lock()
        self._is_closed = False

    def load(self) -> list[Any]:
        """Loads the next page and returns its rows; those before an error, which is set."""
        rows: list[Any] = []
        try:
            with self._loading, self._cancellation:
                for page in self._pages:
                    self._decode(page, rows)
                    break
                else:
                    self.is_done = True
        except (HistoryError, OSError) as error:
            if isinstance(error, HistoryError):
                self._scan.add_location(error)
            self.error = error
            self.is_done = True
        except RequestCancelledError:
            self.is_done = True
        finally:
            if self._is_closed:
                self._end_pages()
        return rows

    def _decode(self, page: Page | list[Any], rows: list[Any]) -> None:
        if not isinstance(page, Page):
            rows += page
            return
        try:
            for index in range(len(page)):
                rows.append(page.row(index))
            # Raises the error of a page that ends early.
            page.row(len(page))
        except IndexError:
            pass
        except HistoryError as error:
            error.add_location(page=page.label)
            raise

    def close(self) -> None:
        """Closes the pages; cancels the request if a thread is loading one, and leaves the rest to that thread."""
        self._is_closed = True
        self._cancellation.cancel()
        self._end_pages()

    def _end_pages(self) -> None:
        """Closes the pages, unless a thread is loading one or closes them: it does so afterwards."""
        if self._loading.acquire(blocking=False):
            try:
                end_pages(self._pages)
            finally:
                self._loading.release()
