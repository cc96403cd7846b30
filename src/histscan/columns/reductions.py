"""Reductions of rows: the last rows, rows on a common axis, samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from histscan.common.steps import STEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow

__all__ = ["ReduceArguments", "Reduction", "check_reduction"]

_CHOICES: dict[str, tuple[Any, ...]] = {
    "sampling": ("minmax", "lttb"),
    "align": (None, "outer", "ffill", "interpolate"),
}
_LEAST = {"samples": 2, "tail": 1}


class ReduceArguments(TypedDict, total=False):
    """The keyword arguments of frames that have fewer rows than were logged.

    Attributes:
        x: The key of the x-axis, for `samples` and `align`.
        samples: The largest number of rows of each run, at least 2; None for all rows. The rows are chosen so that the
            curves keep their shape; see `sampling`.
        sampling: ``"minmax"`` keeps the lowest and the highest value of each key in equal ranges of rows; ``"lttb"``
            chooses the rows that form the largest triangles (Steinarsson 2013). Both keep the first and the last row,
            and choose the same rows on every call.
        tail: Only this many last rows of each run, before they are aligned and sampled. Frames of many runs request
            and read no more than needed of servers and of Parquet files.
        align: How keys that were logged at different steps share rows. None keeps the rows as they were logged.
            ``"outer"`` makes one row of all rows of a run with the same `x`; ``"ffill"`` also repeats the last value
            of each key until the next one; ``"interpolate"`` also fills gaps between numbers linearly.
    """

    x: str
    samples: int | None
    sampling: Literal["minmax", "lttb"]
    tail: int | None
    align: Literal["outer", "ffill", "interpolate"] | None


def check_reduction(arguments: Mapping[str, Any]) -> None:
    """Checks arguments that reduce rows.

    Args:
        arguments: The arguments; others are ignored.

    Raises:
        ValueError: An argument is out of its range.
    """
    for name, choices in _CHOICES.items():
        if arguments.get(name, choices[0]) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {arguments[name]!r}")
    for name, least in _LEAST.items():
        if arguments.get(name) is not None and arguments[name] < least:
            raise ValueError(f"{name} must be at least {least}, not {arguments[name]}")


@dataclass(frozen=True)
class Reduction:
    """How rows are reduced; `ReduceArguments` describes the attributes."""

    x: str = STEP
    samples: int | None = None
    sampling: str = "minmax"
    tail: int | None = None
    align: str | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Reduction:
        """Checks the arguments of a frame method.

        Args:
            arguments: The arguments.

        Returns:
            The reduction.

        Raises:
            TypeError: There is no such argument.
            ValueError: An argument is out of its range.
        """
        if not arguments:
            return cls()
        unknown = set(arguments) - set(ReduceArguments.__annotations__)
        if unknown:
            raise TypeError(f"there is no argument {', '.join(sorted(unknown))}")
        check_reduction(arguments)
        return cls(**arguments)

    @property
    def reduces(self) -> bool:
        """True if not all rows are wanted as they were logged."""
        return self.samples is not None or self.tail is not None or self.align is not None

    @property
    def needs_axis(self) -> bool:
        """True if the x-axis must be a column."""
        return self.samples is not None or self.align is not None

    def apply(self, table: pyarrow.Table, offsets: Sequence[int]) -> tuple[pyarrow.Table, list[int]]:
        """Reduces rows.

        Args:
            table: The rows of all runs, one run after the other.
            offsets: The first row of each run, and the number of all rows.

        Returns:
            The reduced rows, and their offsets.

        Raises:
            ValueError: There is no x-axis of numbers.
        """
        from histscan.series import align_rows, sample_rows, tail_rows

        found = list(offsets)
        if self.tail is not None:
            table, found = tail_rows(table, found, self.tail)
        if not len(table):
            return table, found
        if self.align is not None:
            table, found = align_rows(table, found, x=self.x, how=self.align)
        if self.samples is not None:
            table, found = sample_rows(table, found, self.samples, x=self.x, method=self.sampling)
        return table, found
