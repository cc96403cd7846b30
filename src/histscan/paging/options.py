"""The paging options of a scan, which do not affect the rows that it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = [
    "PAGING_ARGUMENTS",
    "PIPELINED_GRAPHQL",
    "PIPELINED_SERVICE",
    "PagingOptions",
    "ProgressOption",
    "ScanProgress",
    "WindowOption",
]

PAGING_ARGUMENTS = frozenset({"prefetch", "window", "deadline", "progress"})
"""The keyword-only arguments of our scans that wandb's scans do not have."""

WindowOption = Literal["fixed", "adaptive"]


class ScanProgress(NamedTuple):
    """The progress of a scan, reported when the scan reaches a page.

    Attributes:
        min_step: First step of the scan.
        step: All steps before this one have been fetched.
        stop_step: Where the scan ends, exclusive.
        rows: Rows of the pages so far.
        pages: Pages so far.
    """

    min_step: int
    step: int
    stop_step: int
    rows: int
    pages: int


ProgressOption = bool | Callable[[ScanProgress], object]


@dataclass(frozen=True)
class PagingOptions:
    """Options for fetching pages. The class attribute `paging` of a scan has the defaults for its arguments.

    Attributes:
        prefetch: Pages to fetch ahead of the one being read; 0 fetches each page when its first row is needed.
        window: ``"fixed"`` requests `page_size` steps at a time; ``"adaptive"`` requests more where rows are sparse.
        deadline: Seconds that the caller may wait for one page, including all retries; None for no limit.
        progress: True for a bar on a terminal's standard error, or a function to call with a `ScanProgress`.
    """

    prefetch: int = 0
    window: WindowOption = "fixed"
    deadline: float | None = None
    progress: ProgressOption = False

    def __post_init__(self) -> None:
        if self.prefetch < 0:
            raise ValueError(f"prefetch must be at least 0, but is {self.prefetch}")
        if self.window not in ("fixed", "adaptive"):
            raise ValueError(f"window must be 'fixed' or 'adaptive', not {self.window!r}")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline must be more than 0 s, but is {self.deadline}")

    def but(
        self,
        prefetch: int | None,
        window: WindowOption | None,
        deadline: float | None,
        progress: ProgressOption | None,
    ) -> PagingOptions:
        """Returns the options with some replaced.

        Args:
            prefetch: In place of `prefetch`; None keeps it.
            window: In place of `window`; None keeps it.
            deadline: In place of `deadline`; None keeps it.
            progress: In place of `progress`; None keeps it.

        Raises:
            ValueError: A value is invalid.
        """
        return PagingOptions(
            self.prefetch if prefetch is None else prefetch,
            self.window if window is None else window,
            self.deadline if deadline is None else deadline,
            self.progress if progress is None else progress,
        )


PIPELINED_GRAPHQL = PagingOptions(prefetch=8, window="adaptive")
"""For scans through GraphQL that may choose their requests freely."""

PIPELINED_SERVICE = PagingOptions(prefetch=1, window="adaptive")
"""For scans through a wandb service, which processes the requests of a scan one by one."""
