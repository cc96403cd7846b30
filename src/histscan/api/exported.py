"""Reads histories from the Parquet files that a server has exported, and pages for the rows that are not in files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.pages.page import Page
from histscan.api.names import RunName
from histscan.columns.options import ColumnOptions
from histscan.columns.scan import Pages, Scan
from histscan.common.steps import STEP
from histscan.errors import ExportWarning, GraphQLResponseError, HistoryError, ResponseShapeError
from histscan.paging.options import ProgressOption
from histscan.paging.page_stream import PageStream
from histscan.paging.paged_scan import PagedScan
from histscan.paging.progress import ProgressReporter
from histscan.runs.parquet_run import ParquetScan
from histscan.sources.cancellation import Cancellation
from histscan.sources.exported_files import cache_folder, fetch_file
from histscan.sources.exported_ranges import open_by_ranges
from histscan.sources.exported_requests import FileRequests
from histscan.sources.graphql import Operation, run_of
from histscan.sources.parquet import ParquetSource
from histscan.sources.parquet_reader import import_parquet
from histscan.sources.run_queries import EXPORTED_FILES

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["Execute", "ExportedHistory", "ExportedScan", "fetch_exported", "fetch_exported_by"]

Execute = Callable[[Operation, dict[str, Any]], Any]
"""A function that runs an operation with variables, and returns the ``data`` of the response."""

_DOWNLOADS_AT_ONCE = 4


class ExportedHistory(NamedTuple):
    """The part of a history that is in files.

    Attributes:
        sources: The files.
        stop_step: All rows before this step are in the files.
    """

    sources: list[ParquetSource]
    stop_step: int


def fetch_exported(
    client: Client,
    name: RunName,
    keys: Sequence[str] | None = None,
    *,
    is_optional: bool = False,
    answer: Mapping[str, Any] | None = None,
) -> ExportedHistory | None:
    """Fetches the files that a run's history was exported to.

    Args:
        client: Sends the request to the server.
        name: The run.
        keys: As for `fetch_exported_by`.
        is_optional: As for `fetch_exported_by`.
        answer: As for `fetch_exported_by`.

    Returns:
        The files; None if the server has none.

    Raises:
        HistoryError: The request failed, or a file can't be fetched or read.
        ImportError: pyarrow is not installed.
        OSError: The cache can't be written.
    """
    return fetch_exported_by(
        lambda operation, variables: client.execute(operation.document, variables),
        name,
        keys,
        is_optional=is_optional,
        answer=answer,
        # A server that is used without https may have its files there, too.
        allow_http=client.base_url.startswith("http:"),
        timeout=client.timeout,
        max_file=client.max_file,
    )


def fetch_exported_by(
    execute: Execute,
    name: RunName,
    keys: Sequence[str] | None = None,
    *,
    is_optional: bool = False,
    answer: Mapping[str, Any] | None = None,
    allow_http: bool,
    timeout: float = 30.0,
    max_file: int | None = None,
    reuse: bool = True,
) -> ExportedHistory | None:
    """Fetches the files that a run's history was exported to, with any client for the request of their URLs.

    Args:
        execute: Sends the request; must raise `GraphQLResponseError` if the server rejects the query.
        name: The run.
        keys: The keys to read; None for all. For a few keys, only their columns of large files are fetched.
        is_optional: True to return None if the files can't be fetched, so that pages can be read instead.
        answer: The ``parquetHistory`` of an answer that the server has just given; None requests it.
        allow_http: True if files may be fetched by plain http.
        timeout: Seconds to wait for a connection, and for each further part of a file.
        max_file: The most bytes of a file; None for that of ``HISTSCAN_MAX_FILE``, else 16 GiB.
        reuse: True if files may come from the cache.

    Returns:
        The files; None if the server has none.

    Raises:
        HistoryError: A file can't be fetched or read, or the response has another shape. Errors of `execute` pass
            unchanged.
        ImportError: pyarrow is not installed.
        OSError: The cache can't be written.

    Warns:
        ExportWarning: Files exist but can't be fetched or read, and `is_optional` is True.
    """
    try:
        import_parquet()
        urls, live = _request_files(execute, name) if answer is None else _read_answer(answer)
    except Exception:
        if not is_optional:
            raise
        # If the reason also prevents reading pages, that raises an error.
        return None
    if not urls:
        return None
    folder = cache_folder()

    def open_file(url: str) -> ParquetSource:
        requests = FileRequests(url, allow_http=allow_http, timeout=timeout, max_file=max_file)
        source = None if keys is None or not reuse else open_by_ranges(requests, folder, keys=keys)
        return (
            ParquetSource.of_file(fetch_file(requests, folder, reuse=reuse), is_own=True) if source is None else source
        )

    try:
        sources = _all_at_once(open_file, urls)
        last_step = max((group.last_step for source in sources for group in source.groups), default=-1)
    except (HistoryError, OSError) as error:
        if not is_optional:
            raise
        warnings.warn(
            f"the exported files can't be used, so pages are read instead: {error}", ExportWarning, stacklevel=2
        )
        return None
    return ExportedHistory(sources, min([last_step + 1, *live]))


def _all_at_once(open_file: Callable[[str], ParquetSource], urls: Sequence[str]) -> list[ParquetSource]:
    """Opens files, several at a time. After an error or an interrupt, the other downloads are cancelled."""
    cancellations = [Cancellation() for _ in urls]

    def open_unless_cancelled(url: str, cancellation: Cancellation) -> ParquetSource:
        with cancellation:
            return open_file(url)

    pool = ThreadPoolExecutor(min(len(urls), _DOWNLOADS_AT_ONCE), "histscan-download")
    try:
        return list(pool.map(open_unless_cancelled, urls, cancellations))
    finally:
        for cancellation in cancellations:
            cancellation.cancel()
        pool.shutdown(wait=False, cancel_futures=True)


def _request_files(execute: Execute, name: RunName) -> tuple[list[str], list[int]]:
    """Requests the URLs of the files, and the steps that are in none of them."""
    try:
        run = run_of(execute(EXPORTED_FILES, {"entity": name.entity, "project": name.project, "run": name.id}))
        return _read_answer(run.get("parquetHistory"))
    except GraphQLResponseError:
        # Servers without exports reject the query.
        return [], []
    except HistoryError as error:
        error.add_location(run="/".join(name))
        raise


def _read_answer(exports: Mapping[str, Any] | None) -> tuple[list[str], list[int]]:
    """Returns the URLs of the files, and the steps that are in none of them."""
    if exports is None:
        return [], []
    try:
        return [str(url) for url in exports["parquetUrls"]], [int(row[STEP]) for row in exports["liveData"]]
    except (KeyError, TypeError, ValueError):
        raise ResponseShapeError("`parquetHistory` in the server's answer has an unexpected shape") from None


class ExportedScan(Scan):
    """Reads the exported files, and the server's pages for the other rows; created by `histscan.Run.scan_history`.

    Nothing is fetched before the first row is needed. Rows are in the order of steps; rows of the same step come from
    one of the two only.

    Args:
        find: Finds the files, for the columns of some keys, or of all; returns None if there are none. It is called
            once, and again for keys that were not included before.
        make_tail: Creates the scan of the server's pages, from a first step to a stop step.
        name: The run.
        keys: Only rows that have all of these keys, and only these keys; None for all rows with all keys.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive.
        progress: As in `histscan.paging.options.PagingArguments`.
        fills_gaps: As for `ParquetScan`; only for rows of the files.
    """

    def __init__(
        self,
        find: Callable[[Sequence[str] | None], ExportedHistory | None],
        make_tail: Callable[[int, int], PagedScan],
        name: RunName,
        *,
        keys: list[str] | None,
        min_step: int,
        stop_step: int,
        progress: ProgressOption = False,
        fills_gaps: bool = False,
    ) -> None:
        self.keys = keys
        self._fills_gaps = fills_gaps
        self._progress = ProgressReporter(progress) if progress is not False else None
        self._find = find
        self._make_tail = make_tail
        self._name = name
        self._found: dict[frozenset[str] | None, ExportedHistory | None] = {}
        self._stream_of_pages: PageStream | None = None
        super().__init__(min_step, stop_step)

    def history(self, keys: Sequence[str] | None = None) -> ExportedHistory | None:
        """Finds the files; sends a request the first time.

        Args:
            keys: Keys whose columns are needed besides the scan's own keys; None for the columns of the rows.

        Returns:
            The files; None if there are none.

        Raises:
            Exception: Any error of `find`; the next call tries again.
        """
        wanted = self.keys if keys is None else [*keys, *(self.keys or ())]
        for read, found in list(self._found.items()):
            if found is None or read is None or (wanted is not None and read.issuperset(wanted)):
                return found
        history = self._find(wanted)
        self._found[None if wanted is None else frozenset(wanted)] = history
        return history

    def _file_scan(self, keys: Sequence[str] | None = None, first: int | None = None) -> ParquetScan | None:
        """Returns the scan of the files; None if there are none."""
        history = self.history(keys)
        if history is None:
            return None
        return ParquetScan(
            history.sources,
            keys=self.keys,
            min_step=self.min_step if first is None else first,
            stop_step=min(history.stop_step, self._stop_step),
            path=Path("/".join(self._name)),
            fills_gaps=self._fills_gaps,
        )

    def _start_over(self) -> None:
        super()._start_over()
        if self._progress is not None:
            self._progress.start_over()
        if self._stream_of_pages is not None:
            self._stream_of_pages.close()
        self._stream_of_pages = PageStream(self.read_pages(self.min_step))

    def read_pages(
        self, first: int, keys: Sequence[str] | None = None, *, for_columns: bool = False
    ) -> Generator[tuple[int, Page | list[Any]], None, None]:
        """Reads pages, independently of the iteration over rows.

        Args:
            first: The first step.
            keys: Keys that are needed besides the scan's own keys; None for those of the rows.
            for_columns: True for pages as `column_pages_of` yields them.

        Yields:
            The lowest step that rows after the page can have, and the page: each `ArrowPage` of the files, then the
            pages of the other rows.
        """
        files = self._file_scan(keys, first=first)
        if files is not None:
            for page in files.column_pages_of(keys) if for_columns else files.pages():
                if isinstance(page, ArrowPage) and page.last_step is not None:
                    # Rows of the same step are never in two pages.
                    first = page.last_step + 1
                    yield first, page
            first = max(first, files.max_step + 1)
        if first < self._stop_step:
            tail = self._make_tail(first, self._stop_step)
            for page in tail.column_pages_of(keys) if for_columns else tail.pages():
                yield tail.page_offset, page

    def _load_next(self) -> None:
        found = None if self._stream_of_pages is None else self._stream_of_pages.take()
        self.page_offset, page = (self._stop_step, []) if found is None else found
        if isinstance(page, Page):
            self._take_page(page)
        else:
            self._take_rows(page)
        self._note_progress(self.page_offset, page)

    def pages(self) -> Pages:
        """See `Scan.pages`."""
        return self._watched_pages()

    def column_pages_of(self, keys: Sequence[str] | None) -> Pages:
        """See `Scan.column_pages_of`: other columns of large files are not fetched."""
        return self._watched_pages(keys, for_columns=True)

    def _watched_pages(self, keys: Sequence[str] | None = None, *, for_columns: bool = False) -> Pages:
        source = self.read_pages(self.min_step, keys, for_columns=for_columns)
        if self._progress is not None:
            self._progress.start_over()
        try:
            for step, page in source:
                self._note_progress(step, page)
                yield page
        finally:
            source.close()
            if self._progress is not None:
                self._progress.close()

    def _note_progress(self, step: int, page: Page | list[Any]) -> None:
        if self._progress is not None and len(page):
            self._progress.add_page(len(page), self.min_step, min(step, self._stop_step), self._stop_step)

    @property
    def column_keys(self) -> Sequence[str] | None:
        """See `Scan.column_keys`."""
        return self.keys

    def stop_before(self, stop_step: int) -> None:
        """Changes the end of the scan for all later reads.

        Args:
            stop_step: Step to stop at, exclusive.
        """
        self._stop_step = stop_step

    def _file_scan_of(self, options: ColumnOptions) -> ParquetScan | None:
        """Returns the scan of the files if they have all rows of the range; else None."""
        files = self._file_scan(options.keys)
        return files if files is not None and files.max_step >= self.max_step else None

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        options = self.choose_columns(options)
        files = self._file_scan_of(options)
        return super().column_stream(options) if files is None else files.column_stream(options)

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        options = self.choose_columns(options)
        files = self._file_scan_of(options)
        return super().batch_stream(options) if files is None else files.batch_stream(options)

    def add_location(self, error: HistoryError) -> None:
        """See `Scan.add_location`."""
        error.add_location(run="/".join(self._name))
