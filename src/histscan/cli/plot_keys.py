"""The keys that ``histscan plot`` plots."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from histscan.cli.exit_codes import UsageError
from histscan.cli.figures import plural
from histscan.cli.key_selection import KeySelection
from histscan.cli.messages import warn
from histscan.common.near_keys import describe_missing
from histscan.common.steps import STEP

if TYPE_CHECKING:
    from histscan.many.runs import Runs
    from histscan.plotting.curves import Curve

__all__ = ["check_log", "choose_numeric"]


def choose_numeric(runs: Runs[Any], items: Sequence[str]) -> list[str]:
    """Replaces patterns with the numeric keys that match them.

    Args:
        runs: The runs.
        items: Keys and patterns.

    Returns:
        The keys.

    Raises:
        UsageError: No numeric key matches a pattern.
    """
    if not KeySelection(items).has_patterns:
        return list(items)
    known = runs.keys()
    numeric = [key.name for key in known if key.type in ("number", "boolean") and key.name != STEP]
    chosen: dict[str, None] = {}
    for item in items:
        selection = KeySelection([item])
        if not selection.has_patterns:
            chosen[item] = None
            continue
        found = selection.match(numeric)
        if not found:
            if selection.match([key.name for key in known]):
                raise UsageError(f"no key that matches {item!r} is numeric")
            raise UsageError(describe_missing(item, [key.name for key in known], "run"))
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def check_log(curves: Mapping[str, Sequence[Curve]], arguments: argparse.Namespace) -> None:
    """Warns of values that a logarithmic axis can't show.

    Args:
        curves: The curves of each key.
        arguments: The parsed command line.

    Raises:
        UsageError: A key has no other values.
    """
    if not arguments.log_y:
        return
    for key, of_key in curves.items():
        missing = sum(int((curve.y <= 0).sum()) for curve in of_key)
        if missing and not any((curve.y > 0).any() for curve in of_key):
            raise UsageError(f"--log-y can't show {key!r}: it has no positive value")
        if missing:
            warn(f"--log-y leaves out {plural(missing, 'value')} of {key!r} at or below 0")
