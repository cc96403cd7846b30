"""The outcome of a scan, so that two scans can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import wandb
from wandb.apis import public

from histscan.installing.installation import installed
from tests.support.matrix_runs import STEPS

RELEASE = tuple(int(part) for part in wandb.__version__.split("."))

# Before this release, wandb-core returns all keys in random order; later only keys of nested values and live rows.
_ANY_ORDER = RELEASE < (0, 26, 0)

METHODS = ["scan_history", "beta_scan_history"] if hasattr(public, "BetaHistoryScan") else ["scan_history"]
"""The methods of runs that make scans; in later releases, both are the same."""

ASKS_SERVICE = RELEASE >= (0, 23, 1)
"""True if the last of those methods reads the history through wandb-core."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a scan.

    Attributes:
        made: Name of the class of the scan, or of what was returned instead.
        rows: The rows until the end, or until an exception, as text: equal for the same values, types and order.
        error: The exception: its class and message.
    """

    made: str
    rows: list[str] = field(default_factory=list)
    error: str = ""


def with_and_without(run: Any, method: str, arguments: dict[str, Any], *, any_order: bool = False) -> list[Outcome]:
    """Scans a run with wandb's own classes, and then with those of histscan.

    Args:
        run: wandb's run.
        method: The method that makes the scan.
        arguments: What to call it with.
        any_order: Take rows with the same keys in different order for the same.

    Returns:
        What both came to.
    """
    any_order = any_order or (_ANY_ORDER and method == "beta_scan_history")
    theirs = outcome(run, method, arguments, any_order=any_order)
    with installed():
        return [theirs, outcome(run, method, arguments, any_order=any_order)]


def outcome(run: Any, method: str, arguments: dict[str, Any], *, any_order: bool = False) -> Outcome:
    """Scans a run with the installed classes; arguments as for `with_and_without`."""
    rows: list[str] = []
    made = ""
    try:
        scan = getattr(run, method)(**arguments)
        made = type(scan).__name__
        for row in scan:
            rows.append(row_text(row, any_order=any_order))
    except Exception as error:
        return Outcome(made, rows, f"{type(error).__module__}.{type(error).__qualname__}: {error}")
    return Outcome(made, rows)


def assert_same(theirs: Outcome, ours: Outcome, run: str) -> None:
    """Fails unless both outcomes are the same, except for one fault of wandb's: it may stop at a page without rows.

    Args:
        theirs: What wandb's scan came to.
        ours: What histscan's scan came to.
        run: The run.
    """
    if (0, 26, 0) <= RELEASE < (0, 28, 0) and run in ("gaps", "sparse") and len(theirs.rows) < len(ours.rows):
        assert ours.rows[: len(theirs.rows)] == theirs.rows
        assert sorted(set(steps_of(ours.rows))) == STEPS[run]
        assert ours.error == theirs.error == ""
    else:
        assert ours == theirs


def row_text(row: dict[str, Any], *, any_order: bool) -> str:
    """Encodes a row as JSON. The keys of nested values are sorted: wandb-core returns them in random order."""
    return json.dumps({key: _sorted(row[key]) for key in (sorted(row) if any_order else row)})


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def steps_of(rows: Iterable[str]) -> list[int]:
    """Returns the steps of rows from an `Outcome`."""
    return [json.loads(row)["_step"] for row in rows]
