"""Scans of sources that can be read again and again: files, and what a server answers in one go."""

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
from histscan.common.steps import UNBOUNDED
from histscan.errors import HistoryError
from histscan.paging.page_stream import PageStream

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FileScan", "ReadProgress", "RereadScan"]


@dataclass
class ReadProgress:
    """How much of a run's files a reader has read.

    Attributes:
        bytes_read: Bytes of the files; of compressed ones, of the compressed data.
    """

    bytes_read: int = 0


class RereadScan(Scan):
    """A scan whose source can be read again at any time, so that rows and columns never get in each other's way.

    A subclass defines `open_pages`.

    Args:
        keys: Only rows that have all of these, and of them only these; None for all rows as they are.
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
            An iterator over the pages. It must not hold the scan: a scan that nobody uses any more closes its files.
        """

    def select(self, page: Any) -> Page | list[Any]:
        """Chooses the rows of a page that the scan covers.

        Args:
            page: The page, from `open_pages`.
        """
        selected: Page | list[Any] = page
        return selected

    @property
    def column_keys(self) -> Sequence[str] | None:
        """The scan's own keys."""
        return self.keys or None

    def pages(self) -> Pages:
        """See `Scan.pages`."""
        return self.clone().read_through()

    def column_pages(self, watch: Callable[[int], object] | None = None) -> Pages:
        """Goes from page to page as `pages`, for columns: with all keys of the rows, whichever keys the scan has.

        Args:
            watch: Is told how many bytes have been read, before each page.

        Yields:
            Each page, or a list of rows.
        """
        return self.clone().read_through(watch)

    def read_through(self, watch: Callable[[int], object] | None = None) -> Pages:
        """Goes from page to page with this very scan, which nothing else may use meanwhile.

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
    """A scan of files: read in two passes where types have to be known before the first row.

    Args:
        path: The file; of several, what errors call them.
        keys: As for `RereadScan`.
        min_step: As for `RereadScan`.
        stop_step: As for `RereadScan`.

    Attributes:
        path: The file; of several, what errors call them.
        limits: Bytes to read of each file; None for all there are.
    """

    limits: Sequence[int] | None = None

    def __init__(
        self, path: Path, keys: Iterable[str] | None = None, min_step: int = 0, stop_step: int = UNBOUNDED
    ) -> None:
        self.path = path
        super().__init__(keys, min_step, stop_step)

    @property
    def size(self) -> int:
        """About how many bytes there are to read; 0 if that is not known."""
        try:
            return sum(self.sizes())
        except OSError:
            # Reading says what is wrong.
            return 0

    def sizes(self) -> Sequence[int]:
        """Returns the present size of each file, in bytes.

        Raises:
            OSError: A file can't be found.
        """
        return (self.path.stat().st_size,)

    @property
    def bytes_read(self) -> int:
        """How much of the files has been read, in bytes."""
        return self._progress.bytes_read

    def clone(self) -> Self:
        """See `Scan.clone`."""
        scan = super().clone()
        scan.limits = self.limits
        return scan

    def snapshot(self) -> Self:
        """Returns a scan of what is in the files now, however they grow."""
        scan = self.clone()
        scan.limits = self.sizes() if self.limits is None else self.limits
        return scan

    def size_now(self) -> int:
        """Returns how many bytes a pass over the files reads."""
        return sum(self.sizes() if self.limits is None else self.limits)

    def add_location(self, error: HistoryError) -> None:
        """See `Scan.add_location`."""
        error.add_location(run=str(self.path))

    def _start_over(self) -> None:
        self._progress = ReadProgress()
        super()._start_over()

    @property
    def column_bytes(self) -> int:
        """Bytes of two passes."""
        return 2 * self.size

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        return ColumnPasses(self, options, rows=options.rows).stream()

    def read_columns(self, options: ColumnOptions, watch: Watcher | None = None) -> ColumnBatches:
        """See `Scan.read_columns`."""
        return ColumnPasses(self, options, watch=watch).read()
