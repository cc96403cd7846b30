"""How a scan of a run on a server begins: with the run's last step, and its first page where that may be the only one.

Most runs are small: what one request brings is then the whole history. The first page comes along where the server
has said that the run has no more rows than a page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from histscan._core.pages import HistoryPage, Page, SampledPage
from histscan.api.names import RunName
from histscan.errors import GraphQLResponseError, HistoryDecodeError, ResponseShapeError
from histscan.history import history_variables, sampled_variables
from histscan.paging.windows import Window, widest
from histscan.sources.graphql import Operation, request_page, run_of
from histscan.sources.run_queries import FIRST_PAGE, FIRST_PAGE_OF_KEYS, LAST_STEP, ask_run, parse_object

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["FirstPage", "ScanStart", "ask_last_step", "plan_first_page", "start_scan"]


class FirstPage:
    """A page that was fetched before its scan was made. It is given out once: a scan that starts over fetches it anew.

    Args:
        window: The steps that it was asked for.
        page: The page.
    """

    def __init__(self, window: Window, page: Page | None) -> None:
        self.window = window
        self._page = page

    def __reduce__(self) -> tuple[type[FirstPage], tuple[Window, None]]:
        # Pages stay in their process.
        return FirstPage, (self.window, None)

    def take(self, window: Window) -> Page | None:
        """Returns the page if it is that of a window.

        Args:
            window: The window, which may stop earlier where the history does.

        Returns:
            The page; None if it is another one, or was given out before.
        """
        if (window.first, window.width) != (self.window.first, self.window.width) or window.stop > self.window.stop:
            return None
        page, self._page = self._page, None
        return page


class ScanStart(NamedTuple):
    """What is known before a scan is made.

    Attributes:
        last_step: The highest step of the history; -1 without rows.
        first_page: The first page, if it came along.
    """

    last_step: int
    first_page: FirstPage | None

    def fits_few_pages(self, first: int, stop_step: int, page_size: int) -> bool:
        """Returns True if pages of a scan take no more requests than it takes to find exported files.

        Args:
            first: The scan's first step.
            stop_step: The scan's end, exclusive.
            page_size: Steps of a page.
        """
        has_all = self.first_page is not None and stop_step <= self.first_page.window.stop
        return has_all or stop_step - first <= 2 * page_size


def ask_last_step(client: Client, name: RunName) -> int:
    """Asks for the highest step of a history.

    Args:
        client: Asks the server.
        name: The run.

    Returns:
        The step; -1 without rows.

    Raises:
        HistoryRequestError: There is no answer.
        RunNotFoundError: The run is gone.
    """
    return _read_last_step(ask_run(client, LAST_STEP, *name))


def plan_first_page(
    first: int, max_step: int | None, page_size: int, row_count: int | None, *, may_widen: bool
) -> Window | None:
    """Plans the page that is asked for along with the last step.

    Args:
        first: The scan's first step.
        max_step: Where the scan stops at the latest, exclusive; None for the run's end.
        page_size: Steps of an ordinary window.
        row_count: Rows of the history, as far as is known.
        may_widen: The window may be as wide as adaptive ones get, if there is less than a page of rows.

    Returns:
        Its window; None if there is more than a page of rows, or there may be, or none is wanted.
    """
    if row_count is None or not 0 < row_count <= page_size or (max_step is not None and max_step <= first):
        return None
    width = widest(page_size) if may_widen and row_count < page_size else page_size
    return Window(first, first + width if max_step is None else min(first + width, max_step), width)


def start_scan(
    client: Client, name: RunName, keys: Sequence[str] | None, window: Window | None, page_size: int
) -> ScanStart:
    """Asks for what a scan begins with.

    Args:
        client: Asks the server.
        name: The run.
        keys: The keys that each row has to have; None for whole rows.
        window: The window of a page to ask for at the same time, or None.
        page_size: Steps of an ordinary window.

    Returns:
        The last step, and the page. Without the page if the server refuses to give both.

    Raises:
        HistoryRequestError: There is no answer.
        RunNotFoundError: The run is gone.
    """
    if window is not None:
        try:
            return _start_with_page(client, name, keys, window, page_size)
        except (GraphQLResponseError, ResponseShapeError, HistoryDecodeError):
            # What is wrong with the last step or with the page, the request for it alone will say.
            pass
    return ScanStart(ask_last_step(client, name), None)


def _start_with_page(
    client: Client, name: RunName, keys: Sequence[str] | None, window: Window, page_size: int
) -> ScanStart:
    operation: Operation
    page_class: Callable[[bytes], Page]
    if keys is None:
        operation, variables, page_class = FIRST_PAGE, history_variables(window), HistoryPage
    else:
        operation, variables, page_class = FIRST_PAGE_OF_KEYS, sampled_variables(keys, window), SampledPage

    def read(body: bytes) -> ScanStart:
        page = page_class(body)
        last_step = _read_last_step(run_of(_parse(body)))
        # As for any page of a widened window: there were few rows when they were counted, but there are no longer.
        is_dense = window.width > page_size and len(page) >= page_size
        return ScanStart(last_step, None if is_dense else FirstPage(window, page))

    return request_page(
        client,
        operation,
        operation.document,
        {"entity": name.entity, "project": name.project, "run": name.id, **variables},
        from_body=read,
        from_run=lambda _: ScanStart(-1, None),
        run="/".join(name),
        window=None,
    )


def _parse(body: bytes) -> Any:
    """Parses an answer, and returns its ``data``. Its rows are read by the core: orjson would change some numbers."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ResponseShapeError(f"the server's answer is not JSON: {error}") from None
    return answer.get("data") if isinstance(answer, dict) else None


def _read_last_step(run: Mapping[str, Any]) -> int:
    keys = parse_object(run.get("historyKeys"), "historyKeys")
    last_step = keys.get("lastStep", -1)
    if isinstance(last_step, bool) or not isinstance(last_step, int | float):
        raise ResponseShapeError(f"`lastStep` in the server's answer is no number but {last_step!r}")
    return int(last_step)
