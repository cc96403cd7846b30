"""Scans of runs on a server: they fetch pages ahead, in windows that fit the density of the run's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from histscan.api.scan_start import FirstPage
from histscan.common.keys import ABSENT, find_value
from histscan.history import HistoryScan, SampledHistoryScan
from histscan.paging.options import PIPELINED_GRAPHQL, PagingOptions
from histscan.paging.paged_scan import PagedScan
from histscan.paging.prefetch import PageSource
from histscan.paging.windows import Window, Windows, make_windows
from histscan.sources.graphql import HISTORY_PAGE

if TYPE_CHECKING:
    from histscan.api.run import Run

__all__ = ["AnyKeyScan", "RunScan", "RunScanOfKeys", "StartsWithPage", "scan_pages_of"]


class StartsWithPage(PagedScan):
    """A scan that uses the first page that was fetched with the last step, if there is one."""

    paging: ClassVar[PagingOptions] = PIPELINED_GRAPHQL

    _first_page: FirstPage | None = None

    def start_with(self, first_page: FirstPage) -> None:
        """Sets a page that the scan uses instead of fetching it.

        Args:
            first_page: The page.
        """
        self._first_page = first_page

    def has_only_first_page(self) -> bool:
        """Returns True if the page that the scan was given has all its rows."""
        return self._first_page is not None and self._stop_step <= self._first_page.window.stop

    def _make_windows(self) -> Windows:
        if self._first_page is None:
            return super()._make_windows()
        width = self._first_page.window.width
        return make_windows(self.options.window, self.page_size, probes=self.limits_rows, first_width=width)

    def _make_page_source(self) -> PageSource:
        return self._starting_with_page(super()._make_page_source())

    def _starting_with_page(self, source: PageSource) -> PageSource:
        first_page = self._first_page
        if first_page is None:
            return source

        def fetch(window: Window) -> Any:
            page = first_page.take(window)
            return source.fetch(window) if page is None else page

        return source._replace(fetch=fetch)


class RunScan(StartsWithPage, HistoryScan):
    """All rows of a run; created by `histscan.Run.scan_history`."""


class RunScanOfKeys(StartsWithPage, SampledHistoryScan):
    """The rows of a run that have all of some keys; created by `histscan.Run.scan_history`."""

    @property
    def column_keys(self) -> Sequence[str] | None:
        """See `Scan.column_keys`."""
        # So that each key is a column, in this order, even if no row has it.
        return self.keys


class AnyKeyScan(RunScanOfKeys):
    """The rows of a run that have any of some keys; created by `histscan.Run.scan_history`.

    Servers have no such query, so whole rows are requested, and the other keys are removed here.
    """

    QUERY: ClassVar[Any] = HISTORY_PAGE

    def _make_page_source(self) -> PageSource:
        whole: Any = self
        return self._starting_with_page(HistoryScan._make_page_source(whole))

    def _adds_step(self) -> bool:
        return False

    def _set_page(self, page: Any, window: Window) -> None:
        super()._set_page(page, window)
        self._take_rows([chosen for row in self.rows if (chosen := self._choose(row))])

    def _choose(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = ((key, find_value(row, key)) for key in self.keys)
        return {key: value for key, value in found if value is not ABSENT}


def scan_pages_of(
    run: Run,
    keys: list[str] | None,
    any_key: bool,
    page_size: int,
    options: PagingOptions,
    first_page: FirstPage | None,
    first: int,
    stop_step: int,
) -> RunScan | RunScanOfKeys:
    """Creates the scan of a range of steps by pages.

    Args:
        run: The run.
        keys: The keys of rows; None for all rows with all their keys.
        any_key: True for rows that have any of the keys, not all of them.
        page_size: Steps of an ordinary window.
        options: The paging options.
        first_page: A page that was fetched before, or None; a scan that begins with this page uses it.
        first: The first step.
        stop_step: The end of the range, exclusive.

    Returns:
        The scan.
    """
    scan: RunScan | RunScanOfKeys
    paging = options.as_arguments()
    if not keys:
        scan = RunScan(run.client, run, first, stop_step, page_size, **paging)
    else:
        scan_class = AnyKeyScan if any_key else RunScanOfKeys
        scan = scan_class(run.client, run, keys, first, stop_step, page_size, **paging)
    if first_page is not None and first_page.window.first == first:
        scan.start_with(first_page)
    return scan
