"""Scans of sources that can be read repeatedly: files, and single responses of a server."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.pages.page import Page
from histscan.columns.chunks import end_pages
from histscan.columns.options import ColumnOptions
from histscan.columns.passes import ColumnBatches, ColumnPasses
from histscan.columns.scan import Pages, Scan, Watcher
from histscan.common.quiet import quiet
from histscan.common.steps import UNBOUNDED
from histscan.errors import HistoryError
from histscan.paging.page_stream import PageStream

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FileScan", "ReadProgress", "RereadScan"]


@dataclass
class ReadProgress:
    """The progress of a reader of files.

    Attributes:
        bytes_read: Bytes read; of compressed files, bytes of the compressed data.
    """

    bytes_read: int = 0


class RereadScan(Scan):
    """A scan whose source can be read repeatedly, so that reading columns does not affect the rows.

    Subclasses define `open_pages`.

    Args:
        keys: Only rows that have all of these keys, and only these keys; None for all rows with all keys.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end.

    Attributes:
        keys: The keys.
    """

    def __init__(self, keys: Iterable[str] | None = None, min_step: int = 0, stop_step: int = UNBOUNDED) -> None:
        self.keys = None if keys is None else list(keys)
        super().__init__(min_step, stop_step)

    @abstractmethod
    def open_pages(self) -> Pages:
        """Opens the source.

        Returns:
            An iterator over the pages. It must not refer to the scan, so that an unused scan is freed and closes its
            files.
        """

    def select(self, page: Any) -> Page | list[Any]:
        """Selects the rows of a page that the scan covers.

        Args:
            page: The page, from `open_pages`.

        Returns:
            The page, or a list of rows.
        """
        selected: Page | list[Any] = page
        return selected

    def known_keys(self) -> Sequence[str] | None:
        """See `Scan.known_keys`. Takes a pass over the rows; None if the scan has not all rows."""
        if self.keys or self.min_step > 0 or self._stop_step != UNBOUNDED:
            return None
        return self.count_keys()

    @property
    def column_keys(self) -> Sequence[str] | None:
        """The scan's own keys."""
        return self.keys or None

    def pages(self) -> Pages:
        """See `Scan.pages`."""
        return self.clone().read_through()

    def column_pages(self, watch: Callable[[int], object] | None = None) -> Pages:
        """Yields pages as `pages` does, but with all keys of the rows, so that other keys can become columns.

        Args:
            watch: Called with the number of bytes read, before each page.

        Yields:
            Each page, or a list of rows.
        """
        return self.clone().read_through(watch)

    def column_pages_of(self, keys: Sequence[str] | None) -> Pages:
        """See `Scan.column_pages_of`."""
        del keys
        return self.read_through()

    def read_through(self, watch: Callable[[int], object] | None = None) -> Pages:
        """Yields the pages of this scan, not of a clone: the caller must not use the scan until it is done.

        Args:
            watch: As for `column_pages`.

        Yields:
            Each page, or a list of rows.
        """
        pages = super().pages()
        try:
            for page in pages:
                if watch is not None:
                    watch(self.bytes_read)
                yield page
        finally:
            end_pages(pages)

    def first_row_has_logged_order(self) -> bool:
        """Reads the first page, to see if the keys of its first row are in the order in which they were logged."""
        pages = self.clone().read_through()
        try:
            with quiet():
                first = next(pages, None)
            return not isinstance(first, Page) or not len(first) or first.has_logged_order(0)
        except HistoryError:
            # Reading the rows raises it.
            return True
        finally:
            end_pages(pages)

    def _start_over(self) -> None:
        super()._start_over()
        self._page_stream = PageStream(self.open_pages())

    def _load_next(self) -> None:
        try:
            page = self._page_stream.take()
        except HistoryError as error:
            self.add_location(error)
            raise
        if page is None:
            self.page_offset = self._stop_step
            self._take_rows([])
            return
        page = self.select(page)
        if isinstance(page, Page):
            self._take_page(page)
        else:
            self._take_rows(page)


class FileScan(RereadScan):
    """A scan of files. They are read in two passes if types must be known before the first row.

    Args:
        path: The file; for several, the name that errors use.
        keys: As for `RereadScan`.
        min_step: As for `RereadScan`.
        stop_step: As for `RereadScan`.

    Attributes:
        path: The file; for several, the name that errors use.
        limits: Bytes to read of each file; None for all.
    """

    limits: Sequence[int] | None = None

    def __init__(
        self, path: Path, keys: Iterable[str] | None = None, min_step: int = 0, stop_step: int = UNBOUNDED
    ) -> None:
        self.path = path
        super().__init__(keys, min_step, stop_step)

    @property
    def size(self) -> int:
        """The approximate number of bytes to read; 0 if unknown."""
        try:
            return sum(self.sizes())
        except OSError:
            # Reading raises the error.
            return 0

    def sizes(self) -> Sequence[int]:
        """Returns the present size of each file, in bytes.

        Raises:
            OSError: A file can't be found.
        """
        return (self.path.stat().st_size,)

    @property
    def bytes_read(self) -> int:
        """The number of bytes read so far."""
        return self._progress.bytes_read

    def clone(self) -> Self:
        """See `Scan.clone`."""
        scan = super().clone()
        scan.limits = self.limits
        return scan

    def snapshot(self) -> Self:
        """Returns a scan of the present contents of the files, even if they grow."""
        scan = self.clone()
        scan.limits = self.sizes() if self.limits is None else self.limits
        return scan

    def size_now(self) -> int:
        """Returns the number of bytes that one pass over the files reads."""
        return sum(self.sizes() if self.limits is None else self.limits)

    def add_location(self, error: HistoryError) -> None:
        """See `Scan.add_location`."""
        error.add_location(run=str(self.path))

    def _start_over(self) -> None:
        self._progress = ReadProgress()
        super()._start_over()

    @property
    def column_bytes(self) -> int:
        """The number of bytes that two passes read."""
        return 2 * self.size

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        return ColumnPasses(self, options, rows=options.rows).stream()

    def read_columns(self, options: ColumnOptions, watch: Watcher | None = None) -> ColumnBatches:
        """See `Scan.read_columns`."""
        return ColumnPasses(self, options, watch=watch).read()
