"""How a scan goes through its pages, apart from what it asks for."""

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
"""What our scans take beyond wandb's arguments, by keyword only."""

WindowOption = Literal["fixed", "adaptive"]


class ScanProgress(NamedTuple):
    """How far a scan has come, told whenever a page has arrived at it.

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
    """What a scan does about its pages unless its arguments say otherwise; a scan class has them as `paging`.

    Attributes:
        prefetch: Pages fetched ahead of the one whose rows are being taken; 0 fetches each when its first row is
            asked for.
        window: ``"fixed"`` asks for `page_size` steps at a time; ``"adaptive"`` for more where rows are few.
        deadline: Seconds that the caller may be kept waiting for one page, with all retries; None for any time.
        progress: True for a bar on a terminal's standard error, or a function to be called with a `ScanProgress`.
    """

    prefetch: int = 0
    window: WindowOption = "fixed"
    deadline: float | None = None
    progress: ProgressOption = False

    def __post_init__(self) -> None:
        if self.prefetch < 0:
            raise ValueError(f"prefetch must be at least 0, but is {self.prefetch}")
        if self.window not in ("fixed", "adaptive"):
            raise ValueError(f"window is 'fixed' or 'adaptive', not {self.window!r}")
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
            ValueError: One of them is out of its range.
        """
        return PagingOptions(
            self.prefetch if prefetch is None else prefetch,
            self.window if window is None else window,
            self.deadline if deadline is None else deadline,
            self.progress if progress is None else progress,
        )


PIPELINED_GRAPHQL = PagingOptions(prefetch=8, window="adaptive")
"""For scans through GraphQL whose requests are ours to choose."""

PIPELINED_SERVICE = PagingOptions(prefetch=1, window="adaptive")
"""For scans through a wandb service, which answers a scan's requests one after the other."""
