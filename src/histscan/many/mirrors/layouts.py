"""Chooses the columns of history files, so that all files of a mirror have the same types."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from histscan._core.columns.column_types import column_format
from histscan.common.keys import in_order
from histscan.common.steps import STEP
from histscan.many.run_columns import RUN_ID

__all__ = ["Layouts", "layout_hash", "merge_flags", "stored_names"]

_MOST_SHARED_COLUMNS = 500
"""Up to this many columns, each file has the columns of all runs: one without values takes some 200 bytes."""

_INT64 = "l"


class Layouts:
    """The layouts of the files of a mirror.

    Args:
        type_flags: The type flags of all runs together.
    """

    def __init__(self, type_flags: Mapping[str, int]) -> None:
        self.type_flags = type_flags
        self._formats = {name: column_format(flags) for name, flags in type_flags.items()}
        if not type_flags.get(STEP):
            self._formats[STEP] = _INT64
        self._shared = in_order(self._formats) if len(self._formats) <= _MOST_SHARED_COLUMNS else None

    def of(self, own: Iterable[str]) -> dict[str, str]:
        """Returns the layout of a run's file.

        Args:
            own: The keys that the run logged.

        Returns:
            The format of each column, in the order of the file.
        """
        names = in_order({*own, STEP}) if self._shared is None else self._shared
        return {name: self._formats[name] for name in names}


def merge_flags(type_flags: Mapping[str, int], others: Mapping[str, int]) -> Mapping[str, int]:
    """Merges the type flags of columns.

    Args:
        type_flags: The flags so far.
        others: Other flags.

    Returns:
        The flags of both; `type_flags` itself if nothing changes.
    """
    if all(name in type_flags and type_flags[name] | flags == type_flags[name] for name, flags in others.items()):
        return type_flags
    merged = dict(type_flags)
    for name, flags in others.items():
        merged[name] = merged.get(name, 0) | flags
    return merged


def layout_hash(layout: Mapping[str, str]) -> str:
    """Returns a text that differs for different layouts.

    Args:
        layout: The format of each column.
    """
    return hashlib.sha256(json.dumps(list(layout.items())).encode()).hexdigest()[:16]


def stored_names(keys: Iterable[str]) -> dict[str, str]:
    """Chooses the names of columns: those of the keys, except for one that is called ``run_id``.

    Args:
        keys: The keys.

    Returns:
        The name of each key's column. They differ from ``run_id`` in more than case, because SQL ignores case.
    """
    names = list(keys)
    taken = set(names)
    stored = {}
    for name in names:
        column = name
        while column.lower() == RUN_ID or (column != name and column in taken):
            column = f"history.{column}"
        stored[name] = column
    return stored
