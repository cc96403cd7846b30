"""wandb's history iterators: the same constructors, attributes and requests, with rows from the compiled core.

This module makes the requests. `histscan.paging` goes from page to page, and the core's `RowScan` iterates over rows.
Three faults of wandb's classes are deliberately not reproduced:

1. an empty page never ends a scan while later steps remain;
2. `SampledHistoryScan` returns each row once and loses none, whether the server takes ``maxStep`` as inclusive or
   exclusive;
3. ``next()`` works before ``iter()``, and freeing a service's resources never blocks garbage collection or a fork.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from histscan._core.pages.formats import HistoryPage, Page, ProtobufPage, SampledPage, TextPage
from histscan._core.rows.scan import RowScan
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError, HistoryError, ResponseShapeError
from histscan.paging.paged_scan import PagedScan, RunIdentity
from histscan.paging.prefetch import PageSource
from histscan.paging.windows import Window
from histscan.sources.client import Client
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, GraphQLClient, is_refusal, request_page
from histscan.sources.origins import comes_from
from histscan.sources.service import (
    HistoryService,
    RequestLock,
    end_scan,
    end_scan_when_collected,
    page_bytes,
    read_page,
    start_scan,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from histscan.paging.options import PagingArguments

__all__ = [
    "BetaHistoryScan",
    "HistoryScan",
    "RunIdentity",
    "SampledHistoryScan",
    "history_variables",
    "sampled_variables",
]

Row = dict[str, Any]

# The client is thread-safe: only the scan's `prefetch` limits the threads.
_ANY_NUMBER = 1_000


class HistoryScan(PagedScan):
    """Iterates over a run's complete history, read through the GraphQL API.

    Args:
        client: `histscan.Client`, wandb's ``RetryingClient``, a ``gql.Client``, or any object with
            ``execute(document, variable_values=…)``.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        page_size: Steps per request.
        **paging: ``prefetch``, ``window``, ``deadline`` and ``progress``; see
            `histscan.paging.options.PagingArguments`. The defaults are the class's `paging`.

    Yields:
        A dict for each step's row, equal to ``json.loads`` of the row's text.

    Raises:
        HistoryError: A page cannot be read; says which run, page and row. Rows before it were returned. With wandb's
            client, a failed request raises a ``wandb.errors.CommError`` instead, as in wandb's class.
        HistoryDeadlineError: A page did not arrive within the deadline. Call ``next()`` again to retry it.
    """

    QUERY: ClassVar[Any] = HISTORY_PAGE
    limits_rows: ClassVar[bool] = True

    def __init__(
        self,
        client: Client | GraphQLClient,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        page_size: int = 1_000,
        **paging: Unpack[PagingArguments],
    ) -> None:
        super().__init__(run, min_step, max_step, page_size, self.paging.replace(**paging))
        self.client = client

    next = RowScan.__next__

    def _page_client(self) -> Client | GraphQLClient:
        """Returns what pages are requested from. A release of wandb uses something other than `client`."""
        return self.client

    def _make_page_source(self) -> PageSource:
        client, document, run = self._page_client(), self.QUERY, self._run_path()
        names = {"entity": self.run.entity, "project": self.run.project, "run": self.run.id}

        def fetch(window: Window) -> Page:
            return request_page(
                client,
                HISTORY_PAGE,
                document,
                names | history_variables(window),
                from_body=HistoryPage,
                from_run=_text_page,
                run=run,
                window=window.label,
            )

        return _graphql_source(client, fetch)

    def _set_page(self, page: Any, window: Window) -> None:  # noqa: ARG002
        self._take_page(page)


class SampledHistoryScan(PagedScan):
    """Iterates over the rows that have all of the given keys, read through the GraphQL API. Only these keys are sent.

    Each row is returned once, and none is lost, whether the server takes ``maxStep`` as inclusive (as W&B's does) or
    as exclusive: the scan requests one row more than the window is wide, and leaves the row at the boundary to the
    next page. This needs ``_step``, which is requested too, and removed again if it is not among `keys`.

    Args:
        client: As for `HistoryScan`.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        keys: The keys of each row.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        page_size: Steps per request.
        **paging: As for `HistoryScan`.

    Yields:
        A dict for each row.

    Raises:
        HistoryError: As for `HistoryScan`.
    """

    QUERY: ClassVar[Any] = SAMPLED_HISTORY_PAGE
    limits_rows: ClassVar[bool] = True

    def __init__(
        self,
        client: Client | GraphQLClient,
        run: RunIdentity,
        keys: list[str],
        min_step: int,
        max_step: int,
        page_size: int = 1_000,
        **paging: Unpack[PagingArguments],
    ) -> None:
        super().__init__(run, min_step, max_step, page_size, self.paging.replace(**paging))
        self.client = client
        self.keys = keys

    next = RowScan.__next__

    def _page_client(self) -> Client | GraphQLClient:
        """Returns what pages are requested from, as in `HistoryScan`."""
        return self.client

    def _start_over(self) -> None:
        super()._start_over()
        # The page with a malformed row, set once the rows before that row were passed on.
        self._malformed: Page | None = None

    def _load_next(self) -> None:
        if self._malformed is not None:
            # The rows before the malformed one were returned: decoding the page again raises the core's error.
            try:
                self._malformed.rows()
            except HistoryDecodeError as error:
                self.add_location(error)
                raise
        first = self.page_offset
        super()._load_next()
        if self._malformed is not None:
            # The scan must not end before it has raised the error.
            self.page_offset = first

    def _make_page_source(self) -> PageSource:
        client, document, run = self._page_client(), self.QUERY, self._run_path()
        names = {"entity": self.run.entity, "project": self.run.project, "run": self.run.id}
        keys = self.keys

        def fetch(window: Window) -> Page | list[Any]:
            return request_page(
                client,
                SAMPLED_HISTORY_PAGE,
                document,
                names | sampled_variables(keys, window),
                from_body=_sampled_page,
                from_run=_sampled_rows,
                run=run,
                window=window.label,
            )

        return _graphql_source(client, fetch)

    def _set_page(self, page: Any, window: Window) -> None:
        rows = page
        if isinstance(page, Page):
            try:
                rows = page.rows()
            except HistoryDecodeError:
                rows = _rows_before_fault(page)
                self._malformed = page
                self._stop_fetching()
        adds_step = self._adds_step()
        self._take_rows([_without_step(row) if adds_step else row for row in rows if not _is_beyond(row, window.stop)])

    def _adds_step(self) -> bool:
        return _lack_step(self.keys)


class BetaHistoryScan(PagedScan):
    """Iterates over a run's history, read through a wandb service.

    Args:
        service_api: wandb's ``ServiceApi`` (0.25.1 or later), or any object whose ``send_api_request`` takes and
            returns the messages of `histscan.proto`. Its own exceptions pass unchanged.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        keys: The keys of each row; None means all.
        page_size: Steps per request.
        use_cache: Whether the service may use history files that it downloaded before.
        **paging: As for `HistoryScan`. Pages are fetched ahead one at a time, in their order: the service answers the
            requests of a scan one after the other.

    Yields:
        A dict for each row.

    Raises:
        HistoryError: The service reports an error, or answers with something else than history.
    """

    _scan_request_id: int | None = None

    def __init__(
        self,
        service_api: HistoryService,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        use_cache: bool = True,
        **paging: Unpack[PagingArguments],
    ) -> None:
        super().__init__(run, min_step, max_step, page_size, self.paging.replace(**paging))
        self.keys = keys
        self._service_api = service_api
        self._use_cache = use_cache
        self._request_lock = RequestLock()
        self._prepare()

    def _prepare(self) -> None:
        """Starts a scan in the service. A subclass may put this off until the first page is requested."""
        run = self.run
        try:
            self._scan_request_id = start_scan(
                self._service_api,
                entity=run.entity,
                project=run.project,
                run_id=run.id,
                keys=self.keys,
                use_cache=self._use_cache,
            )
        except HistoryError as error:
            self.add_location(error)
            raise
        end_scan_when_collected(self, self._request_lock, type(self).cleanup, self._service_api, self._scan_request_id)

    def _make_page_source(self) -> PageSource:
        service, run, lock = self._service_api, self._run_path(), self._request_lock
        request_id: Any = self._scan_request_id
        converts = self._convert_history_row_to_dict is not BetaHistoryScan._convert_history_row_to_dict

        def fetch(window: Window) -> Page | list[Any]:
            try:
                with lock:
                    answer = read_page(service, request_id, window.first, window.stop)
                return list(_parsed(answer).history_rows) if converts else ProtobufPage(page_bytes(answer))
            except HistoryError as error:
                error.add_location(run=run, page=window.label)
                raise

        # The service reads steps in order, and prepares all of them when the first page is requested.
        return PageSource(fetch, threads=1, first_alone=True, is_refusal=is_refusal)

    def _set_page(self, page: Any, window: Window) -> None:  # noqa: ARG002
        if isinstance(page, Page):
            self._take_page(page)
        else:
            self._take_rows([self._convert_history_row_to_dict(row) for row in page])

    @staticmethod
    def _convert_history_row_to_dict(history_row: Any) -> Row:
        """Converts a ``HistoryRow``, wandb's or histscan's, to a dict. Subclasses may override this."""
        from histscan import proto

        page = proto.RunHistoryResponse()
        page.history_rows.add().MergeFromString(history_row.SerializeToString())
        row: Row = ProtobufPage(page.SerializeToString()).row(0)
        return row

    @staticmethod
    def cleanup(service_api: HistoryService, request_id: int) -> None:
        """Makes the service free a scan's resources. Called automatically some time after a scan is collected.

        Args:
            service_api: The service.
            request_id: The service's number for the scan.
        """
        end_scan(service_api, request_id)


def history_variables(window: Window) -> dict[str, Any]:
    """Returns the variables of a request for whole rows, apart from the run's names.

    Args:
        window: The steps of the page.
    """
    return {"minStep": int(window.first), "maxStep": int(window.stop), "pageSize": int(window.width)}


def sampled_variables(keys: Sequence[str], window: Window) -> dict[str, Any]:
    """Returns the variables of a request for rows of some keys, apart from the run's names.

    Args:
        keys: The keys.
        window: The steps of the page.
    """
    first, stop = int(window.first), int(window.stop)
    # One row more than there are steps: the server may take the last one as inclusive.
    rows = min(stop - first, int(window.width)) + 1
    requested = [*keys, STEP] if _lack_step(keys) else keys
    return {"spec": json.dumps({"keys": requested, "minStep": first, "maxStep": stop, "samples": rows})}


def _lack_step(keys: Sequence[str]) -> bool:
    """Returns True if the step must be added to the keys, so that rows of the next window can be recognised."""
    # Without keys, it is unknown which columns are returned, so nothing is added.
    return bool(keys) and not isinstance(keys, str) and STEP not in keys


def _graphql_source(client: object, fetch: Callable[[Window], Any]) -> PageSource:
    if comes_from("gql", client):
        # gql's clients are not thread-safe, and raise if they are used twice at once.
        return PageSource(fetch, threads=1, first_alone=False, is_refusal=is_refusal)
    # histscan's and wandb's clients are thread-safe from the start; others may connect during their first request.
    return PageSource(
        fetch,
        threads=_ANY_NUMBER,
        first_alone=not (isinstance(client, Client) or comes_from("wandb", client)),
        is_refusal=is_refusal,
    )


def _text_page(run: Mapping[str, Any]) -> TextPage:
    """Makes a page from the row texts of a parsed answer."""
    texts = run.get("history")
    if not isinstance(texts, list):
        raise ResponseShapeError(f"`history` in the client's answer is not a list but {type(texts).__name__}")
    return TextPage(texts)


def _sampled_page(body: bytes) -> Page | list[Any]:
    return SampledPage(body)


def _sampled_rows(run: Mapping[str, Any]) -> Page | list[Any]:
    """Returns the rows of a parsed answer. They belong to the client and must not be changed."""
    specs = run.get("sampledHistory")
    if not isinstance(specs, list) or not specs or not isinstance(specs[0], list):
        raise ResponseShapeError("`sampledHistory` in the client's answer is not a list with a list of rows")
    rows: list[Any] = specs[0]
    return rows


def _rows_before_fault(page: Page) -> list[Any]:
    rows: list[Any] = []
    try:
        for index in range(len(page)):
            rows.append(page.row(index))
    except HistoryDecodeError:
        pass
    return rows


def _is_beyond(row: Any, stop: int) -> bool:
    """Returns True if a row belongs to the next window. A row without a step never does."""
    step = row.get(STEP) if isinstance(row, dict) else None
    return isinstance(step, (int, float)) and step >= stop


def _without_step(row: Any) -> Any:
    if isinstance(row, dict):
        # Copied, because the row may belong to the client.
        row = row.copy()
        row.pop(STEP, None)
    return row


def _parsed(run_history: Any) -> Any:
    """Returns the page as a message, whose rows can be converted one by one."""
    if not isinstance(run_history, (bytes, memoryview)):
        return run_history
    from histscan import proto

    return proto.RunHistoryResponse.FromString(bytes(run_history))
