"""Filters, sorts and paginates the runs of a project."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from histscan.many.filters import FilterError, RunTest
from histscan.server.run_filters import SERVED_FIELDS
from histscan.server.served_run import RunKey, ServedRun
from histscan.server.work import cancellable

__all__ = ["RunPage", "cursor_of", "list_runs", "matching_runs"]


@dataclass(frozen=True)
class RunPage:
    """A page of runs.

    Attributes:
        runs: The runs.
        has_next: More runs follow the page.
    """

    runs: Sequence[ServedRun]
    has_next: bool


def matching_runs(runs: Sequence[ServedRun], test: RunTest[ServedRun]) -> list[ServedRun]:
    """Selects the runs that match a filter.

    Args:
        runs: The runs.
        test: The compiled filter.

    Returns:
        The matching runs, in the same order.
    """
    return [run for run in cancellable(runs) if test(run)]


def list_runs(runs: Sequence[ServedRun], order: str | None, after: str | None, first: int | None) -> RunPage:
    """Sorts runs, and returns one page of them.

    Args:
        runs: The runs.
        order: The fields to sort by, separated by commas; ``-`` before a field sorts descending, ``+`` ascending. None
            for the default. Runs without a value come last.
        after: The cursor of the run before the page; None for the beginning.
        first: The maximum number of runs; None for all.

    Returns:
        The page.

    Raises:
        FilterError: The order or cursor is invalid.
    """
    ordered = SERVED_FIELDS.sort(sorted(runs, key=lambda run: run.key), order)
    start = 0 if not after else _position(ordered, after) + 1
    end = len(ordered) if first is None else start + max(first, 0)
    return RunPage(ordered[start:end], end < len(ordered))


def cursor_of(run: ServedRun) -> str:
    """Returns the cursor of a run in a list.

    Args:
        run: The run.

    Returns:
        The cursor, to pass as ``after``.
    """
    return base64.urlsafe_b64encode("\0".join(run.key).encode(errors="surrogatepass")).decode()


def _position(runs: Sequence[ServedRun], cursor: str) -> int:
    try:
        key = RunKey(*base64.urlsafe_b64decode(cursor).decode(errors="surrogatepass").split("\0"))
        return next(place for place, run in enumerate(runs) if run.key == key)
    except (binascii.Error, UnicodeDecodeError, TypeError):
        raise FilterError("unknown cursor: pass the endCursor of a page from this server") from None
    except StopIteration:
        raise FilterError("the run of the cursor is no longer in the list: list the runs again") from None
