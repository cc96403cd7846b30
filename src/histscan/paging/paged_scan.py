"""The base class of scans by pages: chooses windows of steps, and fetches their pages ahead."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from histscan.columns.scan import Pages, Scan
from histscan.errors import HistoryDeadlineError, HistoryError
from histscan.paging.options import PagingOptions
from histscan.paging.pickles import check_can_pickle
from histscan.paging.prefetch import PageFetcher, PageSource, PageTimeoutError
from histscan.paging.progress import ProgressReporter
from histscan.paging.windows import Window, Windows, make_windows
from histscan.sources.cancellation import RequestCancelledError, check_cancelled

__all__ = ["PagedScan", "RunIdentity"]


class RunIdentity(Protocol):
    """What a scan needs from a run: any object with these attributes, such as wandb's ``Run``."""

    @property
    def entity(self) -> str:
        """The user or team that owns the project."""

    @property
    def project(self) -> str:
        """The project's name."""

    @property
    def id(self) -> str:
        """The run's id."""


class PagedScan(Scan):
    """A scan of one run's steps, in windows.

    Args:
        run: The run.
        min_step: First step, inclusive.
        max_step: Step to stop at, exclusive.
        page_size: Steps of an ordinary window.
        options: The paging options; None for those of the class.

    Attributes:
        options: The paging options; set others for the pages to come.
        paging: The default options of this class. Subclasses may override it.
        limits_rows: True if the source returns at most `Window.width` rows, and samples if there are more.
    """

    paging: ClassVar[PagingOptions] = PagingOptions()
    limits_rows: ClassVar[bool] = False
    options: PagingOptions = paging

    _window = ""
    _windows: Windows | None = None
    _fetcher: PageFetcher | None = None
    _progress: ProgressReporter | None = None

    def __init__(
        self, run: RunIdentity, min_step: int, max_step: int, page_size: int, options: PagingOptions | None = None
    ) -> None:
        if page_size < 1:
            raise ValueError(f"page_size must be at least 1, not {page_size}")
        super().__init__(min_step, max_step)
        self.run = run
        self.page_size = page_size
        self.options = self.paging if options is None else options
        if self.options.progress is not False:
            self._progress = ProgressReporter(self.options.progress)

    def __reduce__(self) -> tuple[Any, ...]:
        reduced = super().__reduce__()
        _, arguments, options = reduced[1]
        check_can_pickle(arguments, options)
        return reduced

    # Subclasses must implement these

    def _make_page_source(self) -> PageSource:
        """Makes the source of pages, which is used until the scan starts over."""
        raise NotImplementedError

    def _set_page(self, page: Any, window: Window) -> None:
        """Sets the current page to what the source returned."""
        raise NotImplementedError

    # Paging

    def _load_next(self) -> None:
        window, page = self._fetch_next()
        self._set_page(page, window)
        self.page_offset = window.next_first
        if self._progress is not None:
            self._progress.add_page(len(page), self.min_step, window.stop, self._stop_step)

    def _resume(self) -> None:
        # Nothing to do: pages are requested by their first step, and a forked fetcher is replaced.
        pass

    def _start_over(self) -> None:
        super()._start_over()
        # Only now: a thread whose page is cancelled here must then request the first page.
        self._stop_fetching()
        self._windows = None
        if self._progress is not None:
            self._progress.start_over()

    def pages(self) -> Pages:
        """See `Scan.pages`."""
        try:
            yield from super().pages()
        finally:
            self._stop_fetching()
            if self._progress is not None:
                self._progress.close()

    def _fetch_next(self) -> tuple[Window, Any]:
        """Returns the page at `page_offset` with its window, and starts to fetch the pages after it."""
        while True:
            windows = self._windows
            if windows is None or windows.page_size != self.page_size:
                windows = self._windows = self._make_windows()
            window = windows.plan(self.page_offset, self._stop_step)
            fetcher = None
            source: PageFetcher | PageSource | None = None
            try:
                if self._needs_threads(window):
                    source = fetcher = self._fetcher_here(windows)
                    window = fetcher.window
                    self._window = window.label
                    page = fetcher.take(self.options.deadline)
                else:
                    self._window = window.label
                    source = page_source = self._make_page_source()
                    page = page_source.fetch(window)
            except RequestCancelledError:
                if fetcher is None:
                    # This thread's own request was cancelled: another one would be, too.
                    raise
                check_cancelled()
                # Another thread restarted the scan.
                continue
            except PageTimeoutError:
                self._stop_fetching()
                raise HistoryDeadlineError(
                    f"the page did not arrive within the deadline of {self.options.deadline:g} s: pass a longer "
                    "`deadline`, or a smaller `page_size`",
                    run=self._run_path(),
                    page=self._window,
                ) from None
            except BaseException as error:
                self._stop_fetching()
                if source is None or not source.is_refusal(error) or not windows.accepts_refusal(window):
                    if self._progress is not None:
                        self._progress.close()
                    raise
                continue
            if windows.accepts(window, page):
                if fetcher is not None:
                    self._fetch_ahead(fetcher, windows, self.options.prefetch)
                return window, page
            del page
            self._stop_fetching()

    def _make_windows(self) -> Windows:
        """Makes the windows of one pass."""
        return make_windows(self.options.window, self.page_size, probes=self.limits_rows)

    def _needs_threads(self, window: Window) -> bool:
        """Returns False if the waiting thread can fetch the page itself, because no other page is fetched with it."""
        if self.options.deadline is not None:
            return True
        is_only_page = self._fetcher is None and window.next_first >= self._stop_step
        return bool(self.options.prefetch) and not is_only_page

    def _fetcher_here(self, windows: Windows) -> PageFetcher:
        """Returns a fetcher from which the page at `page_offset` was requested."""
        fetcher = self._fetcher
        if fetcher is not None:
            if (
                fetcher.first == self.page_offset
                and fetcher.stop_step == self._stop_step
                and fetcher.page_size == self.page_size
                and not fetcher.is_forked
            ):
                if not len(fetcher):
                    fetcher.request(windows.plan(fetcher.next_first, fetcher.stop_step))
                return fetcher
            # The user has moved the scan, or the process was forked.
            self._stop_fetching()
        source = self._make_page_source()
        ahead = self.options.prefetch
        threads = max(1, min(ahead, source.threads))
        fetcher = PageFetcher(source, threads, self.page_offset, self._stop_step, self.page_size)
        self._fetcher = fetcher
        fetcher.request(windows.plan(fetcher.next_first, fetcher.stop_step))
        if not source.first_alone:
            self._fetch_ahead(fetcher, windows, ahead)
        return fetcher

    def _fetch_ahead(self, fetcher: PageFetcher, windows: Windows, pages: int) -> None:
        """Requests pages until this many are being fetched or are ready."""
        while (
            len(fetcher) < pages
            and fetcher.next_first < fetcher.stop_step
            and windows.has_room(fetcher.steps_not_taken)
        ):
            fetcher.request(windows.plan(fetcher.next_first, fetcher.stop_step))

    def _stop_fetching(self) -> None:
        """Cancels the pages that are being fetched."""
        fetcher, self._fetcher = self._fetcher, None
        if fetcher is not None:
            fetcher.cancel()

    # Locations for errors

    def _page_label(self) -> str | None:
        return self._window or None

    def _run_path(self) -> str:
        return f"{self.run.entity}/{self.run.project}/{self.run.id}"

    def add_location(self, error: HistoryError) -> None:
        """See `Scan.add_location`."""
        error.add_location(run=self._run_path(), page=self._window or None)
