"""wandb's history iterators: the same constructors, attributes and requests, and rows from the compiled core.

Requests are here, how a scan goes from page to page in `histscan.paging`, and what happens for each row in
`histscan._core.scan.RowScan`. Three faults of wandb's classes are deliberately not carried over:

1. an empty page never ends a scan while later steps remain;
2. `SampledHistoryScan` gives each row once and loses none, whether the server takes ``maxStep`` as inclusive or not;
3. ``next()`` works before ``iter()``, and freeing a service's resources never blocks garbage collection or a fork.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from histscan._core.pages import HistoryPage, Page, ProtobufPage, SampledPage, TextPage
from histscan._core.scan import RowScan
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError, HistoryError, ResponseShapeError
from histscan.paging.options import ProgressOption, WindowOption
from histscan.paging.paged_scan import PagedScan, RunIdentity
from histscan.paging.prefetch import PageSource
from histscan.paging.windows import Window
from histscan.sources.client import Client
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, GraphQLClient, is_refusal, request_page
from histscan.sources.origins import comes_from
from histscan.sources.service import (
    HistoryService,
    Turns,
    end_scan,
    end_scan_when_collected,
    page_bytes,
    read_page,
    start_scan,
)

__all__ = [
    "BetaHistoryScan",
    "HistoryScan",
    "RunIdentity",
    "SampledHistoryScan",
    "history_variables",
    "sampled_variables",
]

Row = dict[str, Any]

# Threads may share the client; a scan says how many pages it wants at once.
_ANY_NUMBER = 1_000


class HistoryScan(PagedScan):
    """Iterates over a run's complete history, asking the GraphQL API.

    Args:
        client: `histscan.Client`, wandb's ``RetryingClient``, a ``gql.Client``, or any object with
            ``execute(document, variable_values=…)``.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        page_size: Steps per request.
        prefetch: Pages fetched ahead of the one whose rows are being taken, that many at a time, if the client may be
            used by several threads at once: histscan's and wandb's may, those of gql are asked for one page at a time,
            and any other is trusted to if this is more than 1. This and what follows: by default, what the class
            has as `paging`; 0 here.
        window: ``"fixed"`` asks for `page_size` steps at a time, ``"adaptive"`` for more where rows are few: the same
            rows, in fewer requests.
        deadline: Seconds that the caller may be kept waiting for one page, with all retries.
        progress: True for a progress bar on a terminal, or a function to be called with a `ScanProgress` for each page.

    Yields:
        A dict for each step's row, equal to ``json.loads`` of the row's text.

    Raises:
        HistoryError: A page cannot be read; says which run, page and row. Rows before it were delivered. With wandb's
            client, what goes wrong with a request is a ``wandb.errors.CommError`` instead, as in wandb's class.
        HistoryDeadlineError: A page did not come within the deadline; asking again fetches it again.
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
        *,
        prefetch: int | None = None,
        window: WindowOption | None = None,
        deadline: float | None = None,
        progress: ProgressOption | None = None,
    ) -> None:
        super().__init__(run, min_step, max_step, page_size, self.paging.but(prefetch, window, deadline, progress))
        self.client = client

    next = RowScan.__next__

    def _page_client(self) -> Client | GraphQLClient:
        """What is asked for pages; another thing than `client` in a release of wandb."""
        return self.client

    def _page_source(self) -> PageSource:
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

    def _show_page(self, page: Any, window: Window) -> None:  # noqa: ARG002
        self._take_page(page)


class SampledHistoryScan(PagedScan):
    """Iterates over the rows that have all of some keys, asking the GraphQL API; nothing but those keys is sent.

    Each row comes once, and none is lost, whether the server takes the ``maxStep`` it is asked for as inclusive (as
    W&B's does) or as exclusive: one row more than the window is wide is asked for, and the row of the boundary left to
    the next page. That takes ``_step``, which is asked for too and removed again if it is not among `keys`.

    Args:
        client: As for `HistoryScan`.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        keys: The keys of each row.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        page_size: Steps per request.
        prefetch: As for `HistoryScan`.
        window: As for `HistoryScan`.
        deadline: As for `HistoryScan`.
        progress: As for `HistoryScan`.

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
        *,
        prefetch: int | None = None,
        window: WindowOption | None = None,
        deadline: float | None = None,
        progress: ProgressOption | None = None,
    ) -> None:
        super().__init__(run, min_step, max_step, page_size, self.paging.but(prefetch, window, deadline, progress))
        self.client = client
        self.keys = keys

    next = RowScan.__next__

    def _page_client(self) -> Client | GraphQLClient:
        """As in `HistoryScan`."""
        return self.client

    def _start_over(self) -> None:
        super()._start_over()
        # A page with a malformed row, once the rows before that are on their way.
        self._malformed: Page | None = None

    def _load_next(self) -> None:
        if self._malformed is not None:
            # Its good rows were delivered: now the core says what is wrong with the bad one.
            try:
                self._malformed.rows()
            except HistoryDecodeError as error:
                self._add_location(error)
                raise
        first = self.page_offset
        super()._load_next()
        if self._malformed is not None:
            # The scan is not at its end before that was met.
            self.page_offset = first

    def _page_source(self) -> PageSource:
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

    def _show_page(self, page: Any, window: Window) -> None:
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
    """Iterates over a run's history, asking a wandb service.

    Args:
        service_api: wandb's ``ServiceApi`` (0.25.1 or later), or any object whose ``send_api_request`` takes and
            returns the messages of `histscan.proto`. Its own exceptions pass unchanged.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        keys: The keys of each row; None means all.
        page_size: Steps per request.
        use_cache: Whether the service may use history files that it downloaded before.
        prefetch: Pages fetched ahead of the one whose rows are being taken; the service is asked for them in their
            order, one at a time, for it answers the requests of a scan one by one anyway.
        window: As for `HistoryScan`.
        deadline: As for `HistoryScan`.
        progress: As for `HistoryScan`.

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
        *,
        prefetch: int | None = None,
        window: WindowOption | None = None,
        deadline: float | None = None,
        progress: ProgressOption | None = None,
    ) -> None:
        super().__init__(run, min_step, max_step, page_size, self.paging.but(prefetch, window, deadline, progress))
        self.keys = keys
        self._service_api = service_api
        self._use_cache = use_cache
        self._turns = Turns()
        self._prepare()

    def _prepare(self) -> None:
        """Has the service get the history ready. A subclass may put it off until a page is asked for."""
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
            self._add_location(error)
            raise
        end_scan_when_collected(self, self._turns, type(self).cleanup, self._service_api, self._scan_request_id)

    def _page_source(self) -> PageSource:
        service, run, turns = self._service_api, self._run_path(), self._turns
        request_id: Any = self._scan_request_id
        converts = self._convert_history_row_to_dict is not BetaHistoryScan._convert_history_row_to_dict

        def fetch(window: Window) -> Page | list[Any]:
            try:
                with turns.take():
                    answer = read_page(service, request_id, window.first, window.stop)
                return list(_parsed(answer).history_rows) if converts else ProtobufPage(page_bytes(answer))
            except HistoryError as error:
                error.add_location(run=run, page=window.label)
                raise

        # It reads the steps one after the other, and makes ready for all of them when it is asked for the first.
        return PageSource(fetch, threads=1, primes=True, is_refusal=is_refusal)

    def _show_page(self, page: Any, window: Window) -> None:  # noqa: ARG002
        if isinstance(page, Page):
            self._take_page(page)
        else:
            self._take_rows([self._convert_history_row_to_dict(row) for row in page])

    @staticmethod
    def _convert_history_row_to_dict(history_row: Any) -> Row:
        """Makes a dict of a ``HistoryRow``, wandb's or histscan's. A subclass may do it in its own way."""
        from histscan import proto

        page = proto.RunHistoryResponse()
        page.history_rows.add().MergeFromString(history_row.SerializeToString())
        row: Row = ProtobufPage(page.SerializeToString()).row(0)
        return row

    @staticmethod
    def cleanup(service_api: HistoryService, request_id: int) -> None:
        """Has the service free a scan's resources. Done by itself some time after a scan is collected.

        Args:
            service_api: The service.
            request_id: The number by which it knows the scan.
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
    asked = [*keys, STEP] if _lack_step(keys) else keys
    return {"spec": json.dumps({"keys": asked, "minStep": first, "maxStep": stop, "samples": rows})}


def _lack_step(keys: Sequence[str]) -> bool:
    """Returns True if the step is to be added to keys, to tell a row of the next window by it."""
    # Without keys there is no saying which columns come back: nothing is added to them then.
    return bool(keys) and not isinstance(keys, str) and STEP not in keys


def _graphql_source(client: object, fetch: Callable[[Window], Any]) -> PageSource:
    if comes_from("gql", client):
        # A client of gql's refuses to be used twice at once.
        return PageSource(fetch, threads=1, primes=False, is_refusal=is_refusal)
    # These two are made to be shared by threads; others may connect during their first request.
    return PageSource(
        fetch,
        threads=_ANY_NUMBER,
        primes=not (isinstance(client, Client) or comes_from("wandb", client)),
        is_refusal=is_refusal,
    )


def _text_page(run: Mapping[str, Any]) -> TextPage:
    """Makes a page of the row texts of a parsed answer."""
    texts = run.get("history")
    if not isinstance(texts, list):
        raise ResponseShapeError(f"`history` in the client's answer is not a list but {type(texts).__name__}")
    return TextPage(texts)


def _sampled_page(body: bytes) -> Page | list[Any]:
    return SampledPage(body)


def _sampled_rows(run: Mapping[str, Any]) -> Page | list[Any]:
    """Returns the rows of a parsed answer, which belong to the client and are not to be changed."""
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
    """Whether a row belongs to the next window; one that does not say its step never does."""
    step = row.get(STEP) if isinstance(row, dict) else None
    return isinstance(step, (int, float)) and step >= stop


def _without_step(row: Any) -> Any:
    if isinstance(row, dict):
        # A copy, because the row may be a client's own.
        row = row.copy()
        row.pop(STEP, None)
    return row


def _parsed(run_history: Any) -> Any:
    """The page as a message, for rows that are to be converted one by one."""
    if not isinstance(run_history, bytes):
        return run_history
    from histscan import proto

    return proto.RunHistoryResponse.FromString(run_history)
