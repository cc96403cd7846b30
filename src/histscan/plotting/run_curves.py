"""The curves of many runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from histscan.plotting.curves import Curve

__all__ = ["RunCurve", "RunCurves"]


@dataclass(frozen=True)
class RunCurve:
    """The curve of one key of one run.

    Attributes:
        place: The place of the run among those that were read.
        name: A name that no other run has.
        group: The value of the field that groups the runs; None if the run has none, or without groups.
        curve: The points.
    """

    place: int
    name: str
    group: Any
    curve: Curve


@dataclass(frozen=True)
class RunCurves:
    """The curves of many runs.

    Attributes:
        by_key: The curves of each key, in the order of the runs. Runs without a point of the key are left out.
        runs: The number of runs that were read.
        projects: The names of their projects, sorted.
    """

    by_key: dict[str, list[RunCurve]]
    runs: int
    projects: list[str]
