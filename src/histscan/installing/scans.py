"""The classes that replace wandb's: those of `histscan.history` with the constructors of each wandb release.

Each has the signature and the attributes of the class it replaces, and its name, so that
``type(scan).__name__`` is the one in wandb's documentation. In addition to wandb's arguments, each
takes those of `PagingArguments`; their defaults are the class attribute `paging`, which install() sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from histscan.api.scans import StartsWithPage
from histscan.common.steps import STEP
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.installing.exports import ReadsExports
from histscan.paging.paged_scan import RunIdentity
from histscan.paging.prefetch import PageSource
from histscan.paging.windows import Window
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, GraphQLClient, WandbDocument
from histscan.sources.service_graphql import ServiceGraphQLClient
from histscan.sources.wandb_client import is_unmodified

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from histscan.paging.options import PagingArguments
    from histscan.sources.service import HistoryService

__all__ = [
    "ApiScan",
    "ExclusiveGraphQLScan",
    "ExclusiveSampledScan",
    "ExclusiveServiceScan",
    "GraphQLScan",
    "KeywordBetaScan",
    "KeywordServiceScan",
    "SampledScan",
    "ServiceGraphQLScan",
    "ServiceSampledScan",
    "ServiceScan",
    "ends_with_max_step",
]

_Class = TypeVar("_Class", bound=type)


def _named(name: str) -> Callable[[_Class], _Class]:
    def rename(scan_class: _Class) -> _Class:
        scan_class.__name__ = scan_class.__qualname__ = name
        return scan_class

    return rename


class _ExclusiveMaxStep:
    """``max_step`` as in wandb until 0.25.1: the step to stop at, exclusive; it can be set."""

    _stop_step: int

    @property
    def max_step(self) -> int:
        return self._stop_step

    @max_step.setter
    def max_step(self, step: int) -> None:
        self._stop_step = step


def ends_with_max_step(scan_class: type) -> bool:
    """Returns True if ``max_step`` of one of our classes is the last step, inclusive, and read-only.

    Args:
        scan_class: The class.
    """
    return not issubclass(scan_class, _ExclusiveMaxStep)


class _OfKeys(ReadsExports):
    """Rows with selected keys through GraphQL."""

    keys: list[str]

    def _exported_keys(self) -> list[str] | None:
        return list(self.keys) if isinstance(self.keys, list) else []


class _ThroughCore(ReadsExports, BetaHistoryScan):
    """Pages from a wandb service, which downloads exported files itself as soon as a scan is registered with it.

    Of files, the service returns all rows of the range, with None for requested keys that have no value.
    """

    fills_gaps: ClassVar[bool] = True

    def _exports_client(self) -> Any:
        if hasattr(type(self._service_api), "execute_graphql"):
            return ServiceGraphQLClient(self._service_api)
        return getattr(self.run, "client", None)

    def _exported_keys(self) -> list[str] | None:
        # As the service does: no keys means all keys, and the step is added in front if it is missing.
        if not self.keys:
            return None
        return list(self.keys) if STEP in self.keys else [STEP, *self.keys]

    def _uses_cache(self) -> bool:
        return self._use_cache

    def _prepare(self) -> None:
        if not self._reads_files():
            super()._prepare()

    def _make_page_source(self) -> PageSource:
        if self._scan_request_id is None:
            # There are no files, so the service is used after all.
            super()._prepare()
        return super()._make_page_source()


class _EndsAfterLastStep(ReadsExports):
    """Ends at an empty page if that is after the run's last step.

    ``Run.beta_scan_history`` passes any ``max_step`` on, and wandb's class ended at the first empty page in some
    releases: a scan of a billion steps must not request a million empty pages.
    """

    _is_empty = False
    _last_step: int | None = None

    def _start_over(self) -> None:
        super()._start_over()
        self._last_step = None

    def _set_page(self, page: Any, window: Window) -> None:
        self._is_empty = not len(page)
        super()._set_page(page, window)

    def _load_next(self) -> None:
        super()._load_next()
        if self._is_empty and self.page_offset < self._stop_step:
            if self._last_step is None:
                self._last_step = self._request_last_step()
            if self._last_step < self.page_offset:
                self._stop_fetching()
                self.page_offset = self._stop_step

    def _exported_stop_step(self) -> int:
        return min(self._stop_step, self._request_last_step() + 1)

    def _request_last_step(self) -> int:
        """Returns the run's last step, or the step to stop at if the last step is unknown.

        This takes a request, which is sent once per scan: rows that are logged later are left to the next scan.
        """
        try:
            return int(self.run.lastHistoryStep)  # type: ignore[attr-defined]
        except Exception:
            # wandb's class makes no such request, so its failure must not fail the scan.
            return self._stop_step


class _FailsAsWandb(StartsWithPage, ReadsExports):
    """Raises errors of pages as wandb's classes do, whatever client fetches the page."""

    def _reads_files(self) -> bool:
        has_all_rows = self._source == "auto" and self.has_only_first_page()
        return not has_all_rows and super()._reads_files()

    def _load_exported(self) -> bool:
        from wandb.apis.normalize import normalize_exceptions

        loaded: bool = normalize_exceptions(super()._load_exported)()
        return loaded

    def _make_page_source(self) -> PageSource:
        from wandb.apis.normalize import normalize_exceptions

        source = super()._make_page_source()
        return source._replace(fetch=normalize_exceptions(source.fetch))


class _ThroughClient(_FailsAsWandb):
    """Pages of GraphQL through wandb's client, or the object that a script has put in its place."""

    client: Any

    def _exports_client(self) -> Any:
        return self.client

    def _make_page_source(self) -> PageSource:
        source = super()._make_page_source()
        # A custom client may not be thread-safe.
        return source if is_unmodified(self.client) else source._replace(threads=1)


@_named("HistoryScan")
class GraphQLScan(_ThroughClient, HistoryScan):
    """``HistoryScan`` of 0.26.0 and 0.26.1."""

    QUERY: ClassVar[Any] = WandbDocument(HISTORY_PAGE)


@_named("SampledHistoryScan")
class SampledScan(_OfKeys, _ThroughClient, SampledHistoryScan):
    """``SampledHistoryScan`` of 0.26.0 and 0.26.1."""

    QUERY: ClassVar[Any] = WandbDocument(SAMPLED_HISTORY_PAGE)


@_named("BetaHistoryScan")
class ServiceScan(_EndsAfterLastStep, _ThroughCore):
    """``BetaHistoryScan`` of 0.26.0 and 0.26.1."""


@_named("HistoryScan")
class ExclusiveGraphQLScan(_ExclusiveMaxStep, GraphQLScan):
    """``HistoryScan`` until 0.25.1."""


@_named("SampledHistoryScan")
class ExclusiveSampledScan(_ExclusiveMaxStep, SampledScan):
    """``SampledHistoryScan`` until 0.25.1."""


class _OneByOne(ReadsExports, BetaHistoryScan):
    """Reads as wandb-core before 0.26.0 does.

    It fetches no page ahead, whatever the options say: that wandb-core returns no rows for steps that it has passed, so
    a page that was fetched ahead and not used, because the caller has moved the scan, could not be fetched again. Of
    exported files, it returns the rows that have all of the requested keys.
    """

    fills_gaps: ClassVar[bool] = False

    def _prepare(self) -> None:
        self.options = replace(self.options, prefetch=0)
        super()._prepare()


@_named("BetaHistoryScan")
class ExclusiveServiceScan(_ExclusiveMaxStep, _OneByOne, ServiceScan):
    """``BetaHistoryScan`` of 0.25.1."""


@_named("BetaHistoryScan")
class ApiScan(_ExclusiveMaxStep, _OneByOne, _EndsAfterLastStep, _ThroughCore):
    """``BetaHistoryScan`` of 0.23.1 to 0.25.0, which sends requests through wandb's ``Api``."""

    def __init__(
        self,
        api: HistoryService,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        use_cache: bool = True,
        **paging: Unpack[PagingArguments],
    ) -> None:
        self._api = api
        super().__init__(api, run, min_step, max_step, keys, page_size, use_cache, **paging)


class _ThroughService(_FailsAsWandb):
    """Pages of GraphQL through a wandb service."""

    _service_api: HistoryService

    def _exports_client(self) -> Any:
        return ServiceGraphQLClient(self._service_api)

    def _page_client(self) -> GraphQLClient:
        client: Any = ServiceGraphQLClient(self._service_api)
        return client  # type: ignore[no-any-return]


@_named("HistoryScan")
class ServiceGraphQLScan(_ThroughService, HistoryScan):
    """``HistoryScan`` of 0.27.0."""

    QUERY: ClassVar[Any] = HISTORY_PAGE.text

    def __init__(
        self,
        client: Any,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        page_size: int = 1_000,
        *,
        service_api: HistoryService,
        **paging: Unpack[PagingArguments],
    ) -> None:
        super().__init__(client, run, min_step, max_step, page_size, **paging)
        self._service_api = service_api


@_named("SampledHistoryScan")
class ServiceSampledScan(_OfKeys, _ThroughService, SampledHistoryScan):
    """``SampledHistoryScan`` of 0.27.0."""

    QUERY: ClassVar[Any] = SAMPLED_HISTORY_PAGE.text

    def __init__(
        self,
        client: Any,
        run: RunIdentity,
        keys: list[str],
        min_step: int,
        max_step: int,
        page_size: int = 1_000,
        *,
        service_api: HistoryService,
        **paging: Unpack[PagingArguments],
    ) -> None:
        super().__init__(client, run, keys, min_step, max_step, page_size, **paging)
        self._service_api = service_api


class _KeywordScan(_ThroughCore):
    def __init__(
        self,
        run: RunIdentity,
        *,
        service_api: HistoryService,
        min_step: int,
        max_step: int,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        use_cache: bool = True,
        **paging: Unpack[PagingArguments],
    ) -> None:
        super().__init__(service_api, run, min_step, max_step, keys, page_size, use_cache, **paging)


@_named("BetaHistoryScan")
class KeywordBetaScan(_EndsAfterLastStep, _KeywordScan):
    """``BetaHistoryScan`` of 0.27.0."""


@_named("HistoryScan")
class KeywordServiceScan(_KeywordScan):
    """``HistoryScan`` since 0.27.1, wandb's only class."""
