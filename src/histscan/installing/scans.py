"""The classes that stand in for wandb's: those of `histscan.history` behind the constructors of each release.

Each has the signature and the attributes of the class it replaces, and its name, so that whoever looks at
``type(scan).__name__`` finds what wandb's documentation says. Beyond wandb's arguments each takes those of
`PAGING_ARGUMENTS`; what holds without them is the class attribute `paging`, which install() sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from histscan.common.steps import STEP
from histscan.history import BetaHistoryScan, HistoryScan, SampledHistoryScan
from histscan.installing.exports import ReadsExports
from histscan.paging.paged_scan import RunIdentity
from histscan.paging.prefetch import PageSource
from histscan.paging.windows import Window
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, GraphQLClient, WandbDocument
from histscan.sources.service_graphql import ServiceGraphQLClient
from histscan.sources.wandb_client import is_as_made

if TYPE_CHECKING:
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
    """``max_step`` as it was until 0.25.1: the step to stop at, which may be set."""

    _stop_step: int

    @property
    def max_step(self) -> int:
        return self._stop_step

    @max_step.setter
    def max_step(self, step: int) -> None:
        self._stop_step = step


def ends_with_max_step(scan_class: type) -> bool:
    """Whether ``max_step`` of a class of ours is a property: the last step, which can't be set.

    Args:
        scan_class: The class.
    """
    return not issubclass(scan_class, _ExclusiveMaxStep)


class _OfKeys(ReadsExports):
    """Rows of some keys through GraphQL."""

    keys: list[str]

    def _exported_keys(self) -> list[str] | None:
        return list(self.keys) if isinstance(self.keys, list) else []


class _ThroughCore(ReadsExports, BetaHistoryScan):
    """Pages from a wandb service, which downloads files itself as soon as it is told of a scan."""

    def _exports_client(self) -> Any:
        if hasattr(type(self._service_api), "execute_graphql"):
            return ServiceGraphQLClient(self._service_api)
        return getattr(self.run, "client", None)

    def _exported_keys(self) -> list[str] | None:
        # As the service has it: all keys without any, and the step first if it is not among them.
        if not self.keys:
            return None
        return list(self.keys) if STEP in self.keys else [STEP, *self.keys]

    def _uses_cache(self) -> bool:
        return self._use_cache

    def _prepare(self) -> None:
        if not self._reads_files():
            super()._prepare()

    def _page_source(self) -> PageSource:
        if self._scan_request_id is None:
            # There are no files, so it is asked after all.
            super()._prepare()
        return super()._page_source()


class _EndsAfterLastStep(ReadsExports):
    """Ends at an empty page, if that is beyond the run's last step.

    ``Run.beta_scan_history`` takes any ``max_step`` as it is, and wandb's class ended at the first empty page in some
    releases: whoever has asked for a billion steps is not to wait for a million empty pages.
    """

    _is_empty = False
    _last_step: int | None = None

    def _start_over(self) -> None:
        super()._start_over()
        self._last_step = None

    def _show_page(self, page: Any, window: Window) -> None:
        self._is_empty = not len(page)
        super()._show_page(page, window)

    def _load_next(self) -> None:
        super()._load_next()
        if self._is_empty and self.page_offset < self._stop_step:
            if self._last_step is None:
                self._last_step = self._ask_last_step()
            if self._last_step < self.page_offset:
                self._stop_fetching()
                self.page_offset = self._stop_step

    def _exported_stop_step(self) -> int:
        return min(self._stop_step, self._ask_last_step() + 1)

    def _ask_last_step(self) -> int:
        """Returns the run's last step, or one that no empty page is beyond if there is no telling.

        It takes a request of its own, so it is made once: what a run grows by meanwhile is for the next time around.
        """
        try:
            return int(self.run.lastHistoryStep)  # type: ignore[attr-defined]
        except Exception:
            # Wandb's class would not have asked: what goes wrong here is no reason to fail.
            return self._stop_step


class _FailsAsWandb(ReadsExports):
    """Has what goes wrong with a page raised as wandb's classes raise it, whoever is asked for the page."""

    def _load_exported(self) -> bool:
        from wandb.apis.normalize import normalize_exceptions

        loaded: bool = normalize_exceptions(super()._load_exported)()
        return loaded

    def _page_source(self) -> PageSource:
        from wandb.apis.normalize import normalize_exceptions

        source = super()._page_source()
        return source._replace(fetch=normalize_exceptions(source.fetch))


class _ThroughClient(_FailsAsWandb):
    """Pages of GraphQL through wandb's client, or whatever a script has put in its place."""

    client: Any

    def _exports_client(self) -> Any:
        return self.client

    def _page_source(self) -> PageSource:
        source = super()._page_source()
        # Nobody has said that a client of theirs may be used by several threads at once.
        return source if is_as_made(self.client) else source._replace(threads=1)


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


def _one_by_one(paging: dict[str, Any]) -> dict[str, Any]:
    """Has no page fetched ahead, whatever else is asked for.

    wandb-core before 0.26.0 finds nothing at steps that it has read past: what is fetched ahead and then not used, as
    when somebody moves the scan by hand, could not be fetched again.
    """
    return paging | {"prefetch": 0}


@_named("BetaHistoryScan")
class ExclusiveServiceScan(_ExclusiveMaxStep, ServiceScan):
    """``BetaHistoryScan`` of 0.25.1."""

    def __init__(
        self,
        service_api: HistoryService,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        use_cache: bool = True,
        **paging: Any,
    ) -> None:
        super().__init__(service_api, run, min_step, max_step, keys, page_size, use_cache, **_one_by_one(paging))


@_named("BetaHistoryScan")
class ApiScan(_ExclusiveMaxStep, _EndsAfterLastStep, _ThroughCore):
    """``BetaHistoryScan`` of 0.23.1 to 0.25.0, which asks by way of wandb's ``Api``."""

    def __init__(
        self,
        api: HistoryService,
        run: RunIdentity,
        min_step: int,
        max_step: int,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        use_cache: bool = True,
        **paging: Any,
    ) -> None:
        self._api = api
        super().__init__(api, run, min_step, max_step, keys, page_size, use_cache, **_one_by_one(paging))


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
        **paging: Any,
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
        **paging: Any,
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
        **paging: Any,
    ) -> None:
        super().__init__(service_api, run, min_step, max_step, keys, page_size, use_cache, **paging)


@_named("BetaHistoryScan")
class KeywordBetaScan(_EndsAfterLastStep, _KeywordScan):
    """``BetaHistoryScan`` of 0.27.0."""


@_named("HistoryScan")
class KeywordServiceScan(_KeywordScan):
    """``HistoryScan`` since 0.27.1, the only class there is."""
