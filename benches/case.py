"""A benchmark case: two contestants, the same input, the same result."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median
from typing import Any, Generic, Protocol, TypeVar

from benches.clock import CLOCK

__all__ = ["FULL", "QUICK", "WARM_UP", "Case", "Contestant", "Inputs", "Scale", "compare", "run", "time_once"]


@dataclass(frozen=True)
class Scale:
    """The amount of work of a case.

    Attributes:
        pages: Pages of a scan.
        page_rows: Rows of a page.
        log_rows: Rows of a recorded log.
        streamed_rows: Rows of a stream, whose memory is watched.
        most_rounds: The maximum number of rounds of a case.
    """

    pages: int
    page_rows: int
    log_rows: int
    streamed_rows: int
    most_rounds: int


FULL = Scale(pages=10, page_rows=1_000, log_rows=100_000, streamed_rows=1_000_000, most_rounds=1_000)
QUICK = Scale(pages=3, page_rows=1_000, log_rows=10_000, streamed_rows=100_000, most_rounds=3)
WARM_UP = Scale(pages=1, page_rows=10, log_rows=1_000, streamed_rows=1_000, most_rounds=1)
"""Enough work to import and cache everything that is loaded on first use."""


class Inputs(Protocol):
    """The input of both contestants. It is pickled for separate processes, so it must be plain data."""

    @property
    def row_count(self) -> int:
        """The number of rows."""


InputsT = TypeVar("InputsT", bound=Inputs)


class _Missing:
    def __repr__(self) -> str:
        return "no row"


_MISSING = _Missing()


def as_they_are(results: Iterable[Any]) -> Iterable[Any]:
    """Returns the results unchanged, for contestants whose results are rows."""
    return results


@dataclass(frozen=True)
class Contestant(Generic[InputsT]):
    """One side of a case.

    Attributes:
        name: The name in the table.
        work: Starts the work; iterating over the return value does it.
        as_rows: Converts the results to rows for the comparison; not timed.
    """

    name: str
    work: Callable[[InputsT], Iterable[Any]]
    as_rows: Callable[[Iterable[Any]], Iterable[Any]] = as_they_are


@dataclass(frozen=True)
class Case(Generic[InputsT]):
    """A measurement of two contestants.

    Attributes:
        name: The name on the command line.
        subject: What is measured, in a few words.
        inputs: Makes the input for a scale.
        peer: The contestant to compare with.
        ours: Our contestant.
        floor: The minimum ratio of the peer's time to ours; None for no minimum.
        rounds: How often each side is timed.
        estimate: Reduces a side's rounds to one time: their median; or ``min``, the best round, if other load on the
            machine dominates the variation.
    """

    name: str
    subject: str
    inputs: Callable[[Scale], InputsT]
    peer: Contestant[InputsT]
    ours: Contestant[InputsT]
    floor: float | None
    rounds: int
    estimate: Callable[[Sequence[float]], float] = median

    def contestant(self, side: str) -> Contestant[InputsT]:
        """Returns one of the two, ``"peer"`` or ``"ours"``."""
        return {"peer": self.peer, "ours": self.ours}[side]


def run(contestant: Contestant[InputsT], inputs: InputsT) -> None:
    """Does a contestant's work once, and discards the results."""
    deque(contestant.work(inputs), maxlen=0)


def time_once(contestant: Contestant[InputsT], inputs: InputsT) -> float:
    """Does a contestant's work once and returns the seconds it took."""
    gc.collect()
    started = CLOCK.read()
    run(contestant, inputs)
    return CLOCK.read() - started


def compare(case: Case[InputsT], inputs: InputsT) -> None:
    """Checks that both contestants do the same work: equal rows, in values, types and order of keys, NaN included.

    Raises:
        AssertionError: Rows differ; the message shows the first difference.
    """
    compared = 0
    for theirs, own in zip_longest(_rows(case.peer, inputs), _rows(case.ours, inputs), fillvalue=_MISSING):
        # repr() distinguishes 1, 1.0 and True, and 0.0 and -0.0; all NaN are equal.
        if repr(theirs) != repr(own):
            raise AssertionError(f"{case.name}: row {compared} differs\n peer: {theirs!r}\n ours: {own!r}")
        compared += 1
    if compared != inputs.row_count:
        raise AssertionError(f"{case.name}: both gave {compared} rows of {inputs.row_count}")


def _rows(contestant: Contestant[InputsT], inputs: InputsT) -> Iterator[Any]:
    return iter(contestant.as_rows(contestant.work(inputs)))
