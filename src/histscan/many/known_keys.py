"""Checks that some run has the keys that a caller asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from histscan.common.keys import in_order
from histscan.common.near_keys import check_known
from histscan.errors import HistoryError, UnknownKeyError
from histscan.many.options import FrameOptions

if TYPE_CHECKING:
    from histscan.many.runs import Runs

__all__ = ["check_chosen"]


def check_chosen(runs: Runs[Any], options: FrameOptions, formats: Mapping[str, str]) -> None:
    """Checks the keys and patterns for which no value was read; finds all keys only if there are such.

    Args:
        runs: The runs.
        options: The keys and patterns.
        formats: The format of each column that was found.

    Raises:
        UnknownKeyError: No run has a key, or a key that matches a pattern.
    """
    if options.keys is None:
        return
    found = [name for name, kind in formats.items() if kind != "n"]
    missing = options.keys.missing(found, knows_parents=options.flatten)
    if not missing:
        return
    try:
        # `Runs.keys` of files leaves out keys whose values are all null.
        known = runs.keys() if runs.server else in_order({key for run in runs for key in run.keys()})  # noqa: SIM118
    except UnknownKeyError:
        raise
    except HistoryError:
        # A run that can't be read: whoever reads its rows decides what that means.
        return
    check_known(missing, known, "run")
