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
    """The keyword-only arguments about pages of scans and `histscan.install`, in addition to wandb's arguments.

    An argument that is missing or None keeps the default of the scan class, its attribute `paging`.

    Attributes:
        prefetch: The number of pages to fetch ahead of the current one; 0 fetches each page when its first row is
            needed. Clients of gql are not thread-safe, so they fetch one page at a time; histscan's and wandb's are,
            and any other client must be if this is more than 1.
        window: ``"fixed"`` requests `page_size` steps at a time; ``"adaptive"`` requests more if rows are few: the
            same rows, in fewer requests.
        deadline: The longest time to wait for one page, including all retries, in seconds.
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
    """The paging options of a scan. A scan class has its defaults as `paging`.

    Attributes:
        prefetch: As in `PagingArguments`.
        window: As in `PagingArguments`.
        deadline: As in `PagingArguments`; None for no deadline.
        progress: As in `PagingArguments`.
    """

    prefetch: int = 0
    window: WindowOption = "fixed"
    deadline: float | None = None
    progress: ProgressOption = False

    def __post_init__(self) -> None:
        if self.prefetch < 0:
            raise ValueError(f"prefetch must be at least 0, not {self.prefetch}")
        if self.window not in ("fixed", "adaptive"):
            raise ValueError(f"window must be 'fixed' or 'adaptive', not {self.window!r}")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline must be more than 0 s, not {self.deadline}")

    def replace(self, **changes: Unpack[PagingArguments]) -> PagingOptions:
        """Returns the options with the given values, except those that are None.

        Args:
            changes: The new values.

        Raises:
            TypeError: There is no such option.
            ValueError: A value is out of its range.
        """
        unknown = changes.keys() - PAGING_ARGUMENTS
        if unknown:
            raise TypeError(
                f"unexpected keyword argument {min(unknown)!r}: use one of {', '.join(sorted(PAGING_ARGUMENTS))}"
            )
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given) if given else self  # type: ignore[arg-type]

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
