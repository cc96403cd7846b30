"""Runs of a project, page by page: which, in what order, and from where on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from histscan.server.run_filters import ABSENT, FilterError, RunTest, field_value
from histscan.server.served_run import RunKey, ServedRun

__all__ = ["DEFAULT_ORDER", "RunPage", "cursor_of", "list_runs", "matching_runs"]

DEFAULT_ORDER = "+created_at"


@dataclass(frozen=True)
class RunPage:
    """A page of runs.

    Attributes:
        runs: The runs.
        has_next: There are more behind them.
    """

    runs: Sequence[ServedRun]
    has_next: bool


def matching_runs(runs: Sequence[ServedRun], test: RunTest) -> list[ServedRun]:
    """Chooses runs.

    Args:
        runs: The runs to choose from.
        test: What they have to pass.

    Returns:
        Those that pass, in the same order.
    """
    return [run for run in runs if test(run)]


def list_runs(runs: Sequence[ServedRun], order: str | None, after: str | None, first: int | None) -> RunPage:
    """Orders runs, and cuts out a page.

    Args:
        runs: The runs.
        order: The fields to order by, with commas in between, each after ``-`` if the highest comes first, or ``+``;
            None for the default. Runs without a value come last.
        after: The cursor of the run before the page; None for the beginning.
        first: Runs in a page; None for all.

    Returns:
        The page.

    Raises:
        FilterError: The order or cursor makes no sense.
    """
    ordered = sorted(runs, key=lambda run: run.key)
    for part in reversed((order or DEFAULT_ORDER).split(",")):
        name = part.strip().lstrip("+-")
        is_descending = part.strip().startswith("-")
        values = {run.key: field_value(name, run) for run in ordered}
        ordered.sort(key=lambda run: _rank(values[run.key]), reverse=is_descending)
        ordered.sort(key=lambda run: _rank(values[run.key])[0] < 0)
    start = 0 if not after else _position(ordered, after) + 1
    end = len(ordered) if first is None else start + max(first, 0)
    return RunPage(ordered[start:end], end < len(ordered))


def _rank(value: Any) -> tuple[int, Any]:
    """What to sort a value by: numbers, then times, then texts; below 0 what has no place among them."""
    if value is ABSENT or value is None or value != value:
        return (-1, 0)
    if isinstance(value, int | float):
        return (1, value)
    if isinstance(value, datetime):
        return (2, value.timestamp())
    return (3, str(value))


def cursor_of(run: ServedRun) -> str:
    """Names a run's place in a list.

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
        raise FilterError("the cursor is none of this server") from None
    except StopIteration:
        raise FilterError("the run that the cursor names is no longer in the list") from None
