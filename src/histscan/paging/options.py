"""The paging options of a scan, which do not affect the rows that it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "PAGING_ARGUMENTS",
    "PIPELINED_GRAPHQL",
    "PIPELINED_SERVICE",
    "PagingArguments",
    "PagingOptions",
    "ProgressOption",
    "ScanProgress",
    "WindowOption",
]

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


class PagingArguments(TypedDict, total=False):
    """What scans and `histscan.install` take about pages beside wandb's arguments, by keyword only.

    An argument that is missing or None keeps the default, which a scan class has as `paging`.

    Attributes:
        prefetch: Pages fetched ahead of the one whose rows are being taken; 0 fetches each when its first row is
            needed. A client that only one thread may use at a time is asked for one page at a time: histscan's and
            wandb's may be shared, those of gql may not, and any other is trusted to be if this is more than 1.
        window: ``"fixed"`` requests `page_size` steps at a time; ``"adaptive"`` more where rows are few: the same
            rows, in fewer requests.
        deadline: Seconds that the caller may be kept waiting for one page, with all retries.
        progress: True for a progress bar on a terminal's standard error, or a function that is called with a
            `ScanProgress` for each page.
    """

    prefetch: int | None
    window: WindowOption | None
    deadline: float | None
    progress: ProgressOption | None


PAGING_ARGUMENTS = frozenset(PagingArguments.__annotations__)
"""The names of `PagingArguments`."""


@dataclass(frozen=True)
class PagingOptions:
    """How a scan goes through its pages unless its arguments say otherwise; a scan class has them as `paging`.

    Attributes:
        prefetch: As in `PagingArguments`, and so the others.
        window: As in `PagingArguments`.
        deadline: As in `PagingArguments`; None for any time.
        progress: As in `PagingArguments`.
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

    def replace(self, **changes: Unpack[PagingArguments]) -> PagingOptions:
        """Returns the options with those replaced that are given and not None.

        Args:
            changes: The new values.

        Raises:
            TypeError: There is no such option.
            ValueError: A value is out of its range.
        """
        unknown = changes.keys() - PAGING_ARGUMENTS
        if unknown:
            raise TypeError(
                f"unexpected keyword argument {min(unknown)!r}: {', '.join(sorted(PAGING_ARGUMENTS))} exist"
            )
        return replace(self, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]

    def as_arguments(self) -> PagingArguments:
        """Returns the arguments that give a scan these options."""
        return {
            "prefetch": self.prefetch,
            "window": self.window,
            "deadline": self.deadline,
            "progress": self.progress,
        }


PIPELINED_GRAPHQL = PagingOptions(prefetch=8, window="adaptive")
"""For scans through GraphQL that may choose their requests freely."""

PIPELINED_SERVICE = PagingOptions(prefetch=1, window="adaptive")
"""For scans through a wandb service, which processes the requests of a scan one by one."""
