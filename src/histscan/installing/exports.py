"""Installed scans that read rows from a server's exported files, if install() was called with such a `source`.

wandb's own client, or the scan's wandb service, requests the URLs of the files: so no API key is handled here, and none
goes anywhere that wandb would not send it. The files are fetched without a key, as by `histscan.Api`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from histscan._core.pages.page import Page
from histscan.api.exported import Execute, ExportedHistory, ExportedScan, fetch_exported_by
from histscan.api.names import RunName
from histscan.columns.options import ColumnOptions
from histscan.columns.scan import Pages
from histscan.errors import GraphQLResponseError, HistoryError, ResponseShapeError
from histscan.history import HistoryScan, SampledHistoryScan
from histscan.paging.options import PagingOptions
from histscan.paging.page_stream import PageStream
from histscan.paging.paged_scan import PagedScan
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, Operation, is_refusal
from histscan.sources.service_graphql import ServiceGraphQLClient
from histscan.sources.source_option import SourceOption
from histscan.sources.wandb_client import is_unmodified

__all__ = ["ReadsExports"]


class ReadsExports(PagedScan):
    """Reads the exported files of the run's history, and pages for the rows that are not in files.

    Attributes:
        source: Where the rows of new scans come from: ``"pages"``, ``"parquet"`` or ``"auto"``, as for
            `histscan.install`.
        fills_gaps: True if rows of the files that lack some of the keys are returned with None for them.
    """

    source: ClassVar[SourceOption] = "pages"
    fills_gaps: ClassVar[bool] = False

    _source: SourceOption | None = None
    _exported: ExportedScan | None = None
    _exported_pages: PageStream | None = None
    _read_from = _read_to = 0

    # For subclasses to override

    def _exports_client(self) -> Any:
        """Returns the client for GraphQL: wandb's, or a `ServiceGraphQLClient`; None if the release has neither."""
        raise NotImplementedError

    def _exported_keys(self) -> list[str] | None:
        """Returns the keys of each row; None for all; an empty list if only the server can interpret the keys."""
        return None

    def _uses_cache(self) -> bool:
        """Returns True if files may come from the cache."""
        return True

    def _exported_stop_step(self) -> int:
        """Returns the step to stop at, exclusive."""
        return self._stop_step

    # Rows

    def _reads_files(self) -> bool:
        """Returns True if the scan looks for files. The class's `source` at the scan's creation stays in effect."""
        return self._source == "parquet" or (
            # One or two pages load as fast as the list of files.
            self._source == "auto" and self._stop_step - self.min_step > 2 * self.page_size
        )

    def _start_over(self) -> None:
        if self._source is None:
            self._source = self.source
        super()._start_over()
        self._close_exported_pages()

    def _resume(self) -> None:
        super()._resume()
        self._close_exported_pages()

    def _load_next(self) -> None:
        if not self._load_exported():
            super()._load_next()

    def _load_exported(self) -> bool:
        """Makes the next page of the files the current one; returns False if there are no files."""
        pages = self._exported_pages
        if pages is None or (self.page_offset, self._stop_step) != (self._read_from, self._read_to):
            # The caller may have moved the scan by setting its attributes.
            self._close_exported_pages()
            exported = self._exported_scan()
            if exported is None:
                return False
            pages = self._exported_pages = PageStream(exported.read_pages(self.page_offset))
            self._read_to = self._stop_step
        found = pages.take()
        page: Page | list[Any]
        self.page_offset, page = (self._stop_step, []) if found is None else found
        self._read_from = self.page_offset
        if isinstance(page, Page):
            self._take_page(page)
        else:
            self._take_rows(page)
        if self._progress is not None:
            step = min(self.page_offset, self._stop_step)
            self._progress.add_page(len(page), self.min_step, step, self._stop_step)
        return True

    def _exported_scan(self, wanted: Sequence[str] | None = None) -> ExportedScan | None:
        """Returns the scan that reads the files, and pages for the rest; None if there are no files.

        Args:
            wanted: The keys of the columns; None for the keys of the rows.
        """
        if not self._reads_files():
            return None
        if self._exported is None:
            client, keys = self._exports_client(), self._exported_keys()
            is_clear = keys is None or (keys and all(isinstance(key, str) for key in keys))
            if client is None or not is_clear:
                self._source = "pages"
                return None
            name = RunName(self.run.entity, self.run.project, self.run.id)
            find = partial(_find, client, name, _has_plain_http(self.run), self._uses_cache(), self._source == "auto")
            tail = partial(_make_tail, client, self.run, keys, self.page_size, self._tail_paging(client))
            self._exported = ExportedScan(
                find,
                tail,
                name,
                keys=keys,
                min_step=self.min_step,
                stop_step=self._stop_step,
                fills_gaps=self.fills_gaps,
            )
        if self._exported.history(wanted) is None:
            return None
        self._exported.stop_before(self._exported_stop_step())
        return self._exported

    def _tail_paging(self, client: object) -> PagingOptions:
        options = self.options
        # A custom client may not be thread-safe.
        shares = isinstance(client, ServiceGraphQLClient) or is_unmodified(client)
        ahead = options.prefetch if shares else min(options.prefetch, 1)
        return replace(options, prefetch=ahead, progress=False)

    def _close_exported_pages(self) -> None:
        pages, self._exported_pages = self._exported_pages, None
        if pages is not None:
            pages.close()

    # Columns

    def pages(self) -> Pages:
        """See `Scan.pages`."""
        exported = self._exported_scan()
        yield from super().pages() if exported is None else exported.pages()

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        options = self.choose_columns(options)
        exported = self._exported_scan(options.keys)
        return super().column_stream(options) if exported is None else exported.column_stream(options)

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        options = self.choose_columns(options)
        exported = self._exported_scan(options.keys)
        return super().batch_stream(options) if exported is None else exported.batch_stream(options)


def _find(
    client: Any, name: RunName, allow_http: bool, reuse: bool, is_optional: bool, keys: Sequence[str] | None
) -> ExportedHistory | None:
    """Finds the files of a run."""
    return fetch_exported_by(
        _executor_of(client), name, keys, is_optional=is_optional, allow_http=allow_http, reuse=reuse
    )


def _executor_of(client: Any) -> Execute:
    """Returns a function that sends GraphQL requests through wandb's client or a service."""

    def execute(operation: Operation, variables: dict[str, Any]) -> Any:
        try:
            if isinstance(client, ServiceGraphQLClient):
                return json.loads(client.execute_raw(operation.text, variables))["data"]
            return _as_wandb_fails(client.execute)(operation.wandb_document, variable_values=variables)
        except HistoryError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ResponseShapeError(f"the server's response is not a GraphQL response: {error}") from None
        except Exception as error:
            if is_refusal(error):
                raise GraphQLResponseError(f"the server answered with errors: {error}") from error
            raise

    return execute


def _as_wandb_fails(execute: Callable[..., Any]) -> Callable[..., Any]:
    from wandb.apis.normalize import normalize_exceptions

    decorated: Callable[..., Any] = normalize_exceptions(execute)
    return decorated


def _make_tail(
    client: Any, run: Any, keys: list[str] | None, page_size: int, options: PagingOptions, first: int, stop_step: int
) -> PagedScan:
    """Creates the scan of the rows that are in no file."""
    by_service = isinstance(client, ServiceGraphQLClient)
    paging = options.as_arguments()
    if keys is None:
        scan_class = _ServicePages if by_service else HistoryScan
        return scan_class(client, run, first, stop_step, page_size, **paging)
    scan_class_of_keys = _ServicePagesOfKeys if by_service else SampledHistoryScan
    return scan_class_of_keys(client, run, keys, first, stop_step, page_size, **paging)


class _ServicePages(HistoryScan):
    QUERY: ClassVar[Any] = HISTORY_PAGE.text


class _ServicePagesOfKeys(SampledHistoryScan):
    QUERY: ClassVar[Any] = SAMPLED_HISTORY_PAGE.text


def _has_plain_http(run: Any) -> bool:
    """Returns True if the run's server is used without https: its files then may be, too."""
    try:
        return str(run.url).startswith("http:")
    except Exception:
        # Only wandb's runs are sure to have `url`; in some releases, reading it raises a warning of wandb's own code.
        return False
