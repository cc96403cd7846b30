"""wandb's history iterators: the same constructors, attributes and requests, and rows from the compiled core.

Paging and requests are here; what happens for each row is in `histscan._core.scan.RowScan`. Three faults of wandb's
classes are deliberately not carried over:

1. an empty page never ends a scan while later steps remain;
2. `SampledHistoryScan` gives each row once and loses none, whether the server takes ``maxStep`` as inclusive or not;
3. ``next()`` works before ``iter()``, and freeing a service's resources never blocks garbage collection or a fork.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from histscan._core.pages import HistoryPage, Page, ProtobufPage, SampledPage, TextPage
from histscan._core.scan import RowScan
from histscan.errors import HistoryDecodeError, HistoryError, ResponseShapeError
from histscan.frames import ColumnExports
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, GraphQLClient, request_page
from histscan.sources.service import (
    HistoryService,
    end_scan,
    end_scan_when_collected,
    page_bytes,
    read_page,
    start_scan,
)

if TYPE_CHECKING:
    from histscan.sources.client import Client

__all__ = ["BetaHistoryScan", "HistoryScan", "RunIdentity", "SampledHistoryScan"]

Row = dict[str, Any]


class RunIdentity(Protocol):
    """What a scan needs to know of a run: any object with these attributes will do, wandb's ``Run`` for one."""

    @property
    def entity(self) -> str:
        """Whose project it is."""

    @property
    def project(self) -> str:
        """The project's name."""

    @property
    def id(self) -> str:
        """The run's id."""


class _RunScan(RowScan, ColumnExports):
    """A scan of one run's steps, in windows of ``page_size`` steps."""

    def __init__(self, run: RunIdentity, min_step: int, max_step: int, page_size: int) -> None:
        if page_size < 1:
            raise ValueError(f"page_size must be at least 1, but is {page_size}")
        super().__init__(min_step, max_step)
        self.run = run
        self.page_size = page_size
        self._window = ""

    def _next_window(self) -> tuple[int, int]:
        """Returns the steps of the next page: the first, and the end, which is exclusive."""
        stop = min(self.page_offset + self.page_size, self._stop_step)
        self._window = f"[{self.page_offset}, {stop})"
        return self.page_offset, stop

    def _run_path(self) -> str:
        return f"{self.run.entity}/{self.run.project}/{self.run.id}"

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=self._run_path(), page=self._window or None)


class HistoryScan(_RunScan):
    """Iterates over a run's complete history, asking the GraphQL API.

    Args:
        client: `histscan.Client`, wandb's ``RetryingClient``, a ``gql.Client``, or any object with
            ``execute(document, variable_values=…)``.
        run: The run; any object with ``entity``, ``project`` and ``id``.
        min_step: First step, inclusive.
        max_step: Last step, exclusive.
        page_size: Steps per request.

    Yields:
        A dict for each step's row, equal to ``json.loads`` of the row's text.

    Raises:
        HistoryError: A page cannot be read; says which run, page and row. Rows before it were delivered. With wandb's
            client, what goes wrong with a request is a ``wandb.errors.CommError`` instead, as in wandb's class.
    """

    QUERY: ClassVar[Any] = HISTORY_PAGE

    def __init__(
        self, client: Client | GraphQLClient, run: RunIdentity, min_step: int, max_step: int, page_size: int = 1_000
    ) -> None:
        super().__init__(run, min_step, max_step, page_size)
        self.client = client

    next = RowScan.__next__

    def _page_client(self) -> Client | GraphQLClient:
        """What is asked for pages; another thing than `client` in a release of wandb."""
        return self.client

    def _load_next(self) -> None:
        first, stop = self._next_window()
        page = request_page(
            self._page_client(),
            HISTORY_PAGE,
            self.QUERY,
            {
                "entity": self.run.entity,
                "project": self.run.project,
                "run": self.run.id,
                "minStep": int(first),
                "maxStep": int(stop),
                "pageSize": int(self.page_size),
            },
            from_body=HistoryPage,
            from_run=_text_page,
            run=self._run_path(),
            window=self._window,
        )
        self.page_offset += self.page_size
        self._take_page(page)


class SampledHistoryScan(_RunScan):
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

    Yields:
        A dict for each row.

    Raises:
        HistoryError: As for `HistoryScan`.
    """

    QUERY: ClassVar[Any] = SAMPLED_HISTORY_PAGE

    def __init__(
        self,
        client: Client | GraphQLClient,
        run: RunIdentity,
        keys: list[str],
        min_step: int,
        max_step: int,
        page_size: int = 1_000,
    ) -> None:
        super().__init__(run, min_step, max_step, page_size)
        self.client = client
        self.keys = keys

    next = RowScan.__next__

    def _page_client(self) -> Client | GraphQLClient:
        """As in `HistoryScan`."""
        return self.client

    def _start_over(self) -> None:
        super()._start_over()
        # A page with a malformed row, and which row that is, once the rows before it are on their way.
        self._malformed: tuple[Page, int] | None = None

    def _load_next(self) -> None:
        if self._malformed is not None:
            # Its good rows were delivered: now the core meets the bad one, and says what is wrong with it.
            (page, row), self._malformed = self._malformed, None
            self.page_offset += self.page_size
            self._take_page(page)
            self.scan_offset = row
            return
        first, stop = self._next_window()
        # Without keys there is no saying which columns come back: nothing is added to them then.
        adds_step = bool(self.keys) and not isinstance(self.keys, str) and "_step" not in self.keys
        rows = request_page(
            self._page_client(),
            SAMPLED_HISTORY_PAGE,
            self.QUERY,
            {
                "entity": self.run.entity,
                "project": self.run.project,
                "run": self.run.id,
                "spec": json.dumps(
                    {
                        "keys": [*self.keys, "_step"] if adds_step else self.keys,
                        "minStep": int(first),
                        "maxStep": int(stop),
                        "samples": int(stop) - int(first) + 1,
                    }
                ),
            },
            from_body=self._rows_of_body,
            from_run=_sampled_rows,
            run=self._run_path(),
            window=self._window,
        )
        if self._malformed is None:
            self.page_offset += self.page_size
        self._take_rows([_without_step(row) if adds_step else row for row in rows if not _is_beyond(row, stop)])

    def _rows_of_body(self, body: bytes) -> list[Any]:
        page = SampledPage(body)
        try:
            return page.rows()
        except HistoryDecodeError:
            good = _rows_before_fault(page)
            self._malformed = page, len(good)
            return good


class BetaHistoryScan(_RunScan):
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

    Yields:
        A dict for each row.

    Raises:
        HistoryError: The service reports an error, or answers with something else than history.
    """

    def __init__(
        self,
        service_api: HistoryService,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        use_cache: bool = True,
    ) -> None:
        super().__init__(run, min_step, max_step, page_size)
        self.keys = keys
        self._service_api = service_api
        try:
            self._scan_request_id = start_scan(
                service_api, entity=run.entity, project=run.project, run_id=run.id, keys=keys, use_cache=use_cache
            )
        except HistoryError as error:
            self._add_location(error)
            raise
        end_scan_when_collected(self, type(self).cleanup, service_api, self._scan_request_id)

    def _load_next(self) -> None:
        first, stop = self._next_window()
        try:
            run_history = read_page(self._service_api, self._scan_request_id, first, stop)
        except HistoryError as error:
            self._add_location(error)
            raise
        convert = self._convert_history_row_to_dict
        if convert is BetaHistoryScan._convert_history_row_to_dict:
            self.page_offset += self.page_size
            self._take_page(ProtobufPage(page_bytes(run_history)))
        else:
            rows = [convert(row) for row in _parsed(run_history).history_rows]
            self.page_offset += self.page_size
            self._take_rows(rows)

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


def _text_page(run: Mapping[str, Any]) -> TextPage:
    """Makes a page of the row texts of a parsed answer."""
    texts = run.get("history")
    if not isinstance(texts, list):
        raise ResponseShapeError(f"`history` in the client's answer is not a list but {type(texts).__name__}")
    return TextPage(texts)


def _sampled_rows(run: Mapping[str, Any]) -> Sequence[Any]:
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
    step = row.get("_step") if isinstance(row, dict) else None
    return isinstance(step, (int, float)) and step >= stop


def _without_step(row: Any) -> Any:
    if isinstance(row, dict):
        # A copy, because the row may be a client's own.
        row = row.copy()
        row.pop("_step", None)
    return row


def _parsed(run_history: Any) -> Any:
    """The page as a message, for rows that are to be converted one by one."""
    if not isinstance(run_history, bytes):
        return run_history
    from histscan import proto

    return proto.RunHistoryResponse.FromString(run_history)
