"""Reads the curves of many runs, for plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from histscan.common.near_keys import describe_missing
from histscan.common.steps import STEP
from histscan.many.filters import ABSENT, FilterError
from histscan.many.frames import read_rows
from histscan.many.options import FrameOptions
from histscan.many.run_columns import run_ids
from histscan.many.runs import RUN_FIELDS
from histscan.plotting.axis_values import fill_axis
from histscan.plotting.curves import no_point, sorted_curve
from histscan.plotting.number_columns import CurveError, read_numbers
from histscan.plotting.run_curves import RunCurve, RunCurves

if TYPE_CHECKING:
    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run

__all__ = ["read_run_curves"]


def read_run_curves(
    runs: Runs[Any],
    keys: Sequence[str],
    x_key: str = STEP,
    *,
    align: str | None = None,
    group_by: str | None = None,
    min_step: int = 0,
    max_step: int | None = None,
    skip_failed: bool = False,
    progress: bool = False,
) -> RunCurves:
    """Reads curves of many runs; nothing but the keys that are asked for is decoded.

    Args:
        runs: The runs.
        keys: The keys.
        x_key: The key of the x axis.
        align: How a point gets its x if its row lacks `x_key`: None leaves the point out; ``"outer"`` takes the x of
            another row of the same step; ``"ffill"`` takes the last x before it; ``"interpolate"`` interpolates
            between the x before and after it, linearly over the steps.
        group_by: A field of the runs, such as ``"config.lr"`` or ``"group"``.
        min_step: First step, inclusive.
        max_step: Step to stop at, exclusive; None for the end.
        skip_failed: Leave out runs that can't be read, with a warning.
        progress: Show a progress bar.

    Returns:
        The curves.

    Raises:
        CurveError: No run has a key, or it is not numeric; or the runs have no such field.
        HistoryError: A run can't be read.
    """
    wanted = list(dict.fromkeys([*([STEP] if align else []), x_key, *keys]))
    found = read_rows(
        runs,
        FrameOptions.of_frame(
            wanted,
            {
                "min_step": min_step,
                "max_step": max_step,
                "on_error": "skip" if skip_failed else "raise",
                "progress": progress,
            },
        ),
    )

    def find_known() -> list[str]:
        return [key.name for key in runs.keys()]  # noqa: SIM118 - not a dict

    x, has_x = read_numbers(found.table, x_key, find_known, "run")
    # Arrow's memory can't be written to.
    x, has_x = x.copy(), has_x & np.isfinite(x)
    parts = [slice(first, end) for first, end in zip(found.offsets, found.offsets[1:], strict=False)]
    if align is not None:
        steps, has_step = read_numbers(found.table, STEP, find_known, "run")
        for part in parts:
            fill_axis(x[part], has_x[part], np.where(has_step[part], steps[part], np.nan), align)
    names = _names(found.runs)
    groups = [None if group_by is None else _group_of(run, group_by) for run in found.runs]
    if group_by is not None and all(group is None for group in groups) and groups:
        raise CurveError(_why_no_group(found.runs, group_by))
    curves: dict[str, list[RunCurve]] = {}
    for key in dict.fromkeys(keys):
        y, has_y = read_numbers(found.table, key, find_known, "run")
        here = has_x & has_y
        if not here.any():
            raise CurveError(no_point(key, x_key, align))
        curves[key] = [
            RunCurve(place, names[place], groups[place], sorted_curve(key, x[part][here[part]], y[part][here[part]]))
            for place, part in enumerate(parts)
            if here[part].any()
        ]
    projects = sorted({"/".join(filter(None, run.path[:2])) for run in found.runs} - {""})
    return RunCurves(curves, len(found.runs), projects)


def _names(runs: Sequence[Run]) -> list[str]:
    """Returns the display names of runs, with the id where several have one name."""
    names = [run.name for run in runs]
    ids = run_ids(runs)
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return [name if counts[name] == 1 else f"{name} ({run_id})" for name, run_id in zip(names, ids, strict=True)]


def _group_of(run: Run, field: str) -> Any:
    """Returns the value of a field of a run; None if it has none."""
    try:
        value = RUN_FIELDS.value(field, run)
    except FilterError as error:
        raise CurveError(f"{error}; entries of the config begin with config.: config.{field}") from None
    return None if value is ABSENT else value


def _why_no_group(runs: Sequence[Run], field: str) -> str:
    if field.startswith("config."):
        known = sorted({f"config.{name}" for run in runs for name in run.config})
        return describe_missing(field, known, "run")
    return f"no run has a value of {field!r}"
