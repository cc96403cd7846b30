"""``histscan plot`` of many runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from histscan.cli.figures import plural
from histscan.cli.plot_messages import warn_of_log
from histscan.many.plots import choose_numeric, title_of
from histscan.many.run_curves import read_run_curves
from histscan.plotting.panels import PanelPicture, draw_panels, panel_size
from histscan.plotting.run_curves import RunCurves

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
        CurveError: No run has a key, it is not numeric, there are no runs, or too many keys for one picture.
        HistoryError: A run can't be read.
    """
    found = read_run_curves(
        runs,
        choose_numeric(runs, arguments.keys),
        arguments.x,
        align=arguments.align,
        group_by=arguments.group_by,
        min_step=arguments.min_step,
        max_step=arguments.max_step,
        skip_failed=arguments.skip_failed,
        progress=not arguments.quiet,
    )
    warn_of_log(arguments.log_y, {key: [run.curve for run in curves] for key, curves in found.by_key.items()})
    width, height = arguments.size or panel_size(len(found.by_key))
    picture = PanelPicture(
        arguments.title or title_of(found),
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
