"""The classes that stand in for wandb's: those of `histscan.history` behind the constructors of each release.

Each has the signature and the attributes of the class it replaces; the name is set so that whoever looks at
``type(scan).__name__`` finds what wandb's documentation says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from histscan.history import BetaHistoryScan, HistoryScan, RunIdentity, SampledHistoryScan
from histscan.sources.graphql import HISTORY_PAGE, SAMPLED_HISTORY_PAGE, GraphQLClient, WandbDocument
from histscan.sources.service_graphql import ServiceGraphQLClient

if TYPE_CHECKING:
    from histscan.sources.service import HistoryService

__all__ = [
    "ApiScan",
    "ExclusiveGraphQLScan",
    "ExclusiveSampledScan",
    "ExclusiveServiceScan",
    "GraphQLScan",
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


@_named("HistoryScan")
class GraphQLScan(HistoryScan):
    """``HistoryScan`` of 0.26.0 and 0.26.1."""

    QUERY: ClassVar[Any] = WandbDocument(HISTORY_PAGE)


@_named("SampledHistoryScan")
class SampledScan(SampledHistoryScan):
    """``SampledHistoryScan`` of 0.26.0 and 0.26.1."""

    QUERY: ClassVar[Any] = WandbDocument(SAMPLED_HISTORY_PAGE)


@_named("BetaHistoryScan")
class ServiceScan(BetaHistoryScan):
    """``BetaHistoryScan`` of 0.26.0 and 0.26.1."""


@_named("HistoryScan")
class ExclusiveGraphQLScan(_ExclusiveMaxStep, GraphQLScan):
    """``HistoryScan`` until 0.25.1."""


@_named("SampledHistoryScan")
class ExclusiveSampledScan(_ExclusiveMaxStep, SampledScan):
    """``SampledHistoryScan`` until 0.25.1."""


@_named("BetaHistoryScan")
class ExclusiveServiceScan(_ExclusiveMaxStep, ServiceScan):
    """``BetaHistoryScan`` of 0.25.1."""


@_named("BetaHistoryScan")
class ApiScan(_ExclusiveMaxStep, BetaHistoryScan):
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
    ) -> None:
        self._api = api
        super().__init__(api, run, min_step, max_step, keys, page_size, use_cache)


class _ThroughService:
    """Pages of GraphQL through a wandb service, with errors as wandb's class raises them."""

    _service_api: HistoryService

    def _page_client(self) -> GraphQLClient:
        client: Any = ServiceGraphQLClient(self._service_api)
        return client  # type: ignore[no-any-return]

    def _load_next(self) -> None:
        from wandb.apis.normalize import normalize_exceptions

        normalize_exceptions(super()._load_next)()  # type: ignore[misc]


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
    ) -> None:
        super().__init__(client, run, min_step, max_step, page_size)
        self._service_api = service_api


@_named("SampledHistoryScan")
class ServiceSampledScan(_ThroughService, SampledHistoryScan):
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
    ) -> None:
        super().__init__(client, run, keys, min_step, max_step, page_size)
        self._service_api = service_api


class _KeywordScan(BetaHistoryScan):
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
    ) -> None:
        super().__init__(service_api, run, min_step, max_step, keys, page_size, use_cache)


@_named("BetaHistoryScan")
class KeywordBetaScan(_KeywordScan):
    """``BetaHistoryScan`` of 0.27.0."""


@_named("HistoryScan")
class KeywordServiceScan(_KeywordScan):
    """``HistoryScan`` since 0.27.1, the only class there is."""
