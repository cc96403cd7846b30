"""The first request of a scan on a server: the run's last step, and its first page if that may be the only one.

Most runs are small, so that one request can return the whole history. It includes the first page if the run, as listed
by the server, has no more rows than a page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from histscan._core.pages.formats import HistoryPage, Page, SampledPage
from histscan.api.names import RunName
from histscan.common.steps import STEP
from histscan.errors import GraphQLResponseError, HistoryDecodeError, ResponseShapeError
from histscan.history import history_variables, sampled_variables
from histscan.paging.windows import Window, widest
from histscan.sources.answers import one_line
from histscan.sources.graphql import GraphQLClient, Operation, request_page, run_of
from histscan.sources.run_queries import FIRST_PAGE, FIRST_PAGE_OF_KEYS, LAST_STEP, parse_object, request_run

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = [
    "FirstPage",
    "ScanStart",
    "plan_first_page",
    "read_last_step",
    "request_last_step",
    "start_scan",
    "start_with_page",
]

# Pages that are fetched at the same time, and the part of a history for which they are preferred to exported files.
_FEW_PAGES = 8
_SMALL_PART = 8


class FirstPage:
    """A page that was fetched before its scan was created. It is returned once: a restarted scan fetches it again.

    Args:
        window: The window that was requested.
        page: The page.
    """

    def __init__(self, window: Window, page: Page | None) -> None:
        self.window = window
        self._page = page

    def __reduce__(self) -> tuple[type[FirstPage], tuple[Window, None]]:
        # Pages can't be pickled.
        return FirstPage, (self.window, None)

    def take(self, window: Window) -> Page | None:
        """Returns the page if it belongs to a window.

        Args:
            window: The window. It may stop earlier than the requested one, at the end of the history.

        Returns:
            The page; None if it belongs to another window, or was taken before.
        """
        if (window.first, window.width) != (self.window.first, self.window.width) or window.stop > self.window.stop:
            return None
        page, self._page = self._page, None
        return page


class ScanStart(NamedTuple):
    """What is known before a scan is created.

    Attributes:
        last_step: The highest step of the history; -1 without rows.
        first_page: The first page, if it was requested too.
    """

    last_step: int
    first_page: FirstPage | None

    def fits_few_pages(self, first: int, stop_step: int, page_size: int) -> bool:
        """Returns True if a scan by pages is cheaper than the exported files.

        One or two pages need no more requests than finding the files. A few more are fetched at the same time; if they
        have a small part of the history, the files, and the list of the rows that are in none of them, are larger.

        Args:
            first: The scan's first step.
            stop_step: The scan's end, exclusive.
            page_size: Steps of a page.
        """
        has_all = self.first_page is not None and stop_step <= self.first_page.window.stop
        steps = stop_step - first
        is_small_part = steps <= _FEW_PAGES * page_size and steps * _SMALL_PART <= self.last_step + 1
        return has_all or steps <= 2 * page_size or is_small_part


def request_last_step(client: Client, name: RunName) -> int:
    """Requests the highest step of a history.

    Args:
        client: Sends the request to the server.
        name: The run.

    Returns:
        The step; -1 without rows.

    Raises:
        HistoryRequestError: The request failed.
        RunNotFoundError: The run does not exist any more.
    """
    return read_last_step(request_run(client, LAST_STEP, *name))


def plan_first_page(
    first: int, max_step: int | None, page_size: int, row_count: int | None, *, may_widen: bool
) -> Window | None:
    """Plans the page that is requested together with the last step.

    Args:
        first: The scan's first step.
        max_step: The scan's end, exclusive; None for the end of the run.
        page_size: Steps of an ordinary window.
        row_count: The number of rows of the history; None if unknown.
        may_widen: True if the window may be as wide as the widest adaptive one, for less than a page of rows.

    Returns:
        The page's window; None if there are, or may be, more rows than a page has, or if there are none to read.
    """
    if row_count is None or not 0 < row_count <= page_size or (max_step is not None and max_step <= first):
        return None
    width = widest(page_size) if may_widen and row_count < page_size else page_size
    return Window(first, first + width if max_step is None else min(first + width, max_step), width)


def start_scan(
    client: Client, name: RunName, keys: Sequence[str] | None, window: Window | None, page_size: int
) -> ScanStart:
    """Sends the first request of a scan.

    Args:
        client: Sends the request to the server.
        name: The run.
        keys: The keys that each row must have; None for whole rows.
        window: The window of a page to request at the same time, or None.
        page_size: Steps of an ordinary window.

    Returns:
        The last step and the page; only the last step if the request for both fails.

    Raises:
        HistoryRequestError: The request failed.
        RunNotFoundError: The run does not exist any more.
    """
    if window is not None:
        try:
            return start_with_page(client, name, keys, window, page_size)
        except (GraphQLResponseError, ResponseShapeError, HistoryDecodeError):
            # The separate requests for the last step and for the page raise the error.
            pass
    return ScanStart(request_last_step(client, name), None)


def start_with_page(
    client: Client | GraphQLClient, name: RunName, keys: Sequence[str] | None, window: Window, page_size: int
) -> ScanStart:
    """Requests the last step and a page with one request.

    Args:
        client: Sends the request to the server: ours, or wandb's.
        name: The run.
        keys: The keys that each row must have; None for whole rows.
        window: The window of the page.
        page_size: Steps of an ordinary window.

    Returns:
        The last step, and the page if it has all rows of its window up to that step, and no others.

    Raises:
        HistoryError: The request failed, or the answer has another shape; see `request_page` for wandb's client.
    """
    operation: Operation
    page_class: Callable[[bytes], Page]
    if keys is None:
        operation, variables, page_class = FIRST_PAGE, history_variables(window), HistoryPage
    else:
        operation, variables, page_class = FIRST_PAGE_OF_KEYS, sampled_variables(keys, window), SampledPage

    def read(body: bytes) -> ScanStart:
        page = page_class(body)
        last_step = read_last_step(run_of(_parse(body)))
        # As with any wide window: rows may have been added after they were counted, so the page may be sampled.
        is_dense = window.width > page_size and len(page) >= page_size
        return ScanStart(last_step, None if is_dense or _exceeds(page, last_step) else FirstPage(window, page))

    return request_page(
        client,
        operation,
        operation.document,
        {"entity": name.entity, "project": name.project, "run": name.id, **variables},
        from_body=read,
        from_run=_refuse_parsed,
        run="/".join(name),
        window=None,
    )


def _refuse_parsed(run: Mapping[str, Any]) -> ScanStart:
    raise ResponseShapeError(f"the server's answer has no last step with a page but {one_line(repr(run))}")


def _exceeds(page: Page, last_step: int) -> bool:
    """Returns True if a page ends after the last step: the server reads the one after the other."""
    if not len(page):
        return False
    row = page.row(len(page) - 1)
    step = row.get(STEP) if isinstance(row, dict) else None
    return isinstance(step, int | float) and step > last_step


def _parse(body: bytes) -> Any:
    """Parses an answer and returns its ``data``. Not used for rows, because orjson would change some numbers."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ResponseShapeError(f"the server's answer is not JSON: {error}") from None
    return answer.get("data") if isinstance(answer, dict) else None


def read_last_step(run: Mapping[str, Any]) -> int:
    """Reads the last step of a run in an answer.

    Args:
        run: The run, with ``historyKeys``.

    Returns:
        The step; -1 without rows.

    Raises:
        ResponseShapeError: The answer has another shape.
    """
    keys = parse_object(run.get("historyKeys"), "historyKeys")
    last_step = keys.get("lastStep", -1)
    if isinstance(last_step, bool) or not isinstance(last_step, int | float):
        raise ResponseShapeError(f"`lastStep` in the server's answer is not a number but {last_step!r}")
    return int(last_step)
