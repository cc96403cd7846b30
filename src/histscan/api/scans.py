"""Scans of runs on a server: pages are fetched ahead, in windows that fit the run's density."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from histscan.history import HistoryScan, SampledHistoryScan
from histscan.paging.options import PIPELINED_GRAPHQL, PagingOptions
from histscan.paging.prefetch import PageSource
from histscan.paging.windows import Window
from histscan.sources.graphql import HISTORY_PAGE

__all__ = ["AnyKeyScan", "RunScan", "RunScanOfKeys"]

_ABSENT = object()


class RunScan(HistoryScan):
    """All rows of a run; made by `histscan.Run.scan_history`."""

    paging: ClassVar[PagingOptions] = PIPELINED_GRAPHQL


class RunScanOfKeys(SampledHistoryScan):
    """The rows of a run that have all of some keys; made by `histscan.Run.scan_history`."""

    paging: ClassVar[PagingOptions] = PIPELINED_GRAPHQL

    def _column_keys(self, keys: Sequence[str] | None) -> Sequence[str] | None:
        # So that a key is a column, and in its place, even where no row has it.
        return super()._column_keys(self.keys if keys is None else keys)


class AnyKeyScan(RunScanOfKeys):
    """The rows of a run that have any of some keys; made by `histscan.Run.scan_history`.

    No server has such a query: whole rows are asked for, and the rest of them is left out here.
    """

    QUERY: ClassVar[Any] = HISTORY_PAGE

    def _page_source(self) -> PageSource:
        whole: Any = self
        return HistoryScan._page_source(whole)

    def _adds_step(self) -> bool:
        return False

    def _show_page(self, page: Any, window: Window) -> None:
        super()._show_page(page, window)
        self._take_rows([chosen for row in self.rows if (chosen := self._choose(row))])

    def _choose(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = ((key, _find(row, key)) for key in self.keys)
        return {key: value for key, value in found if value is not _ABSENT}


def _find(value: Any, key: str) -> Any:
    """Finds what a key means, the longest of its dotted names first."""
    if not isinstance(value, Mapping):
        return _ABSENT
    if key in value:
        return value[key]
    names = key.split(".")
    for length in range(len(names) - 1, 0, -1):
        found = _find(value.get(".".join(names[:length])), ".".join(names[length:]))
        if found is not _ABSENT:
            return found
    return _ABSENT
