"""``histscan plot`` of many runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from histscan.cli.exit_codes import UsageError
from histscan.cli.figures import plural
from histscan.cli.plot_keys import check_log, choose_numeric
from histscan.plotting.panels import MOST_PANELS, PanelPicture, draw_panels, panel_size
from histscan.plotting.run_curves import RunCurves, read_run_curves

if TYPE_CHECKING:
    from histscan.many.runs import Runs

__all__ = ["plot_many"]


def plot_many(runs: Runs[Any], arguments: argparse.Namespace) -> tuple[Any, str]:
    """Draws the curves of many runs.

    Args:
        runs: The runs.
        arguments: The parsed command line of ``histscan plot``.

    Returns:
        The figure, and a summary of what it shows.

    Raises:
        CurveError: No run has a key, or it is not numeric.
        HistoryError: A run can't be read.
        UsageError: There are no runs, or too many keys for one picture.
    """
    if not len(runs):
        raise UsageError("there are no runs to plot")
    keys = choose_numeric(runs, arguments.keys)
    if len(keys) > MOST_PANELS:
        raise UsageError(f"{len(keys)} keys are too many for one picture: choose at most {MOST_PANELS}")
    found = read_run_curves(
        runs,
        keys,
        arguments.x,
        align=arguments.align,
        group_by=arguments.group_by,
        min_step=arguments.min_step,
        max_step=arguments.max_step,
        skip_failed=arguments.skip_failed,
        progress=not arguments.quiet,
    )
    check_log({key: [run.curve for run in curves] for key, curves in found.by_key.items()}, arguments)
    width, height = arguments.size or panel_size(len(found.by_key))
    picture = PanelPicture(
        arguments.title or _title(found),
        x_key=arguments.x,
        smoothing=arguments.smooth,
        is_log=arguments.log_y,
        group_by=arguments.group_by,
        band=arguments.band,
        buckets=arguments.buckets,
        width=width,
        height=height,
    )
    return draw_panels(found.by_key, picture), _summary(found)


def _title(found: RunCurves) -> str:
    """Names the project of the runs, if they are of one."""
    count = plural(found.runs, "run")
    return f"{found.projects[0]}: {count}" if len(found.projects) == 1 else count


def _summary(found: RunCurves) -> str:
    facts = [plural(found.runs, "run")]
    for key, curves in found.by_key.items():
        fact = plural(sum(len(run.curve.x) for run in curves), "point")
        if len(curves) < found.runs:
            fact += f" of {plural(len(curves), 'run')}"
        broken = [run for run in curves if not np.isfinite(run.curve.y).all()]
        if broken:
            fact += f", {plural(len(broken), 'run')} with NaN or infinite values"
        facts.append(f"{key} ({fact})")
    return ", ".join(facts)
