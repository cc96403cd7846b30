"""Histories of which a server has exported the greater part as Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan._core.arrow_rows import ArrowPage
from histscan._core.page import Page
from histscan._core.scan import RowScan
from histscan.api.names import RunName
from histscan.errors import GraphQLResponseError, HistoryError, ResponseShapeError
from histscan.frames import ColumnExports
from histscan.page_stream import PageStream
from histscan.paging.paged_scan import PagedScan
from histscan.parquet_run import ParquetScan
from histscan.sources.exported_files import cache_folder, fetch_file
from histscan.sources.parquet import ParquetSource, import_parquet
from histscan.sources.run_queries import EXPORTED_FILES, ask_run

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["ExportedHistory", "ExportedScan", "fetch_exported"]


class ExportedHistory(NamedTuple):
    """What there is in files.

    Attributes:
        sources: The files.
        stop_step: All rows before this step are in them.
    """

    sources: list[ParquetSource]
    stop_step: int


def fetch_exported(client: Client, name: RunName) -> ExportedHistory | None:
    """Fetches the files that a run's history was exported to.

    Args:
        client: Asks the server.
        name: The run.

    Returns:
        The files; None if the server has none.

    Raises:
        HistoryError: There is no answer, or a file can't be had or read.
        ImportError: pyarrow is not installed.
        OSError: The cache can't be written.
    """
    import_parquet()
    try:
        answer = ask_run(client, EXPORTED_FILES, *name).get("parquetHistory")
    except GraphQLResponseError:
        # So does a server that knows of no exports answer.
        return None
    if answer is None:
        return None
    try:
        urls = [str(url) for url in answer["parquetUrls"]]
        live = [int(row["_step"]) for row in answer["liveData"]]
    except (KeyError, TypeError, ValueError):
        raise ResponseShapeError("`parquetHistory` in the server's answer is of another shape") from None
    if not urls:
        return None
    # A server on this machine, or one that is trusted without https, has its files there, too.
    allow_http = client.base_url.startswith("http:")
    folder = cache_folder()
    sources = [
        ParquetSource.of_file(fetch_file(url, folder, allow_http=allow_http, timeout=client.timeout)) for url in urls
    ]
    last_step = max((group.last_step for source in sources for group in source.groups), default=-1)
    return ExportedHistory(sources, min([last_step + 1, *live]))


class ExportedScan(RowScan, ColumnExports):
    """Reads what was exported from its files, and asks the server for the rest; made by `histscan.Run.scan_history`.

    Nothing is fetched before the first row is asked for. Rows come in the order of steps; those of one step come from
    one place only.

    Args:
        find: Finds the files; called once. None from it means that there are none.
        make_tail: Makes the scan of the server's pages from a step on.
        name: The run.
        keys: Only rows that have all of these, and of them only these; None for all rows as they are.
        min_step: First step, inclusive.
        stop_step: Step to stop at, exclusive.
    """

    def __init__(
        self,
        find: Callable[[], ExportedHistory | None],
        make_tail: Callable[[int], PagedScan],
        name: RunName,
        *,
        keys: list[str] | None,
        min_step: int,
        stop_step: int,
    ) -> None:
        self.keys = keys
        self._find = find
        self._make_tail = make_tail
        self._path = "/".join(name)
        self._page_source: PageStream | None = None
        super().__init__(min_step, stop_step)

    @cached_property
    def _exported(self) -> ParquetScan | None:
        """The part of the scan that is in files."""
        history = self._find()
        if history is None:
            return None
        stop_step = min(history.stop_step, self._stop_step)
        return ParquetScan(
            history.sources, keys=self.keys, min_step=self.min_step, stop_step=stop_step, path=Path(self._path)
        )

    def _start_over(self) -> None:
        super()._start_over()
        if self._page_source is not None:
            self._page_source.close()
        self._page_source = PageStream(self._read_pages())

    def _read_pages(self) -> Generator[Page | list[Any], None, None]:
        first = self.min_step
        if self._exported is not None:
            yield from self._exported._pages()
            first = max(first, self._exported._stop_step)
        if first < self._stop_step:
            yield from self._make_tail(first)._pages()

    def _load_next(self) -> None:
        page = None if self._page_source is None else self._page_source.take()
        if page is None:
            self.page_offset = self._stop_step
            self._take_rows([])
        elif isinstance(page, Page):
            self._take_page(page)
        else:
            self._take_rows(page)

    def _pages(self) -> Iterator[Page | list[Any]]:
        source = self._read_pages()
        try:
            for page in source:
                # Builders of columns know nothing of those of files.
                yield page.rows() if isinstance(page, ArrowPage) else page
        finally:
            source.close()

    def _column_keys(self, keys: Sequence[str] | None) -> Sequence[str] | None:
        return super()._column_keys(self.keys if keys is None else keys)

    def _is_all_exported(self) -> bool:
        return self._exported is not None and self._exported._stop_step >= self._stop_step

    def _stream(self, keys: Sequence[str] | None = None, nested: str = "json", threads: int | None = None) -> Any:
        if self._exported is not None and self._is_all_exported():
            return self._exported._stream(keys, nested, threads)
        return super()._stream(keys, nested, threads)

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> Any:
        if self._exported is not None and self._is_all_exported():
            return self._exported._batch_stream(keys, nested, rows)
        return super()._batch_stream(keys, nested, rows)

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=self._path)
