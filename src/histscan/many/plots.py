"""Plots of many runs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from histscan.common.key_patterns import KeyChoice
from histscan.common.near_keys import describe_missing
from histscan.common.steps import STEP
from histscan.runs.plots import require_plotting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from histscan.many.runs import Runs
    from histscan.plotting.axis_values import Alignment
    from histscan.plotting.run_curves import RunCurves
    from histscan.runs.plots import PlottedKeys

__all__ = ["BandKind", "choose_numeric", "plot_runs", "title_of"]

BandKind = Literal["std", "minmax", "ci95"]
"""What a band around a mean shows: the standard deviation, minimum and maximum, or the 95 % confidence interval."""


def plot_runs(
    runs: Runs[Any],
    keys: PlottedKeys,
    *,
    x: str,
    smooth: float | None,
    log_y: bool,
    align: Alignment | None,
    group_by: str | None,
    band: BandKind | None,
    buckets: int,
    min_step: int,
    max_step: int | None,
    on_error: Literal["raise", "skip"],
    progress: bool,
    title: str | None,
    size: tuple[int, int] | None,
) -> Figure:
    """Plots keys of many runs.

    Args:
        runs: The runs.
        keys: As for `histscan.many.runs.Runs.plot`, as all other arguments.
        x: See there.
        smooth: See there.
        log_y: See there.
        align: See there.
        group_by: See there.
        band: See there.
        buckets: See there.
        min_step: See there.
        max_step: See there.
        on_error: See there.
        progress: See there.
        title: See there.
        size: See there.

    Returns:
        The figure.

    Raises:
        HistoryError: A run can't be read.
        ImportError: matplotlib or pyarrow is not installed.
        ValueError: A key can't be plotted, there are no runs, or an argument is out of its range.
    """
    require_plotting()
    from histscan.many.run_curves import read_run_curves
    from histscan.plotting.bands import BANDS
    from histscan.plotting.options import LARGEST_SIZE, check_choice, check_options, find_nonpositive
    from histscan.plotting.panels import PanelPicture, draw_panels, panel_size

    weight, (width, height) = check_options(smooth=smooth, align=align, panels="each", size=size)
    check_choice("band", band, BANDS)
    check_choice("on_error", on_error, ("raise", "skip"))
    if not 2 <= buckets <= LARGEST_SIZE:
        raise ValueError(f"buckets must be from 2 to {LARGEST_SIZE:,}, not {buckets}")
    found = read_run_curves(
        runs,
        choose_numeric(runs, [keys] if isinstance(keys, str | re.Pattern) else keys),
        x,
        align=align,
        group_by=group_by,
        min_step=min_step,
        max_step=max_step,
        skip_failed=on_error == "skip",
        progress=progress,
    )
    if log_y:
        for message in find_nonpositive({key: [run.curve for run in curves] for key, curves in found.by_key.items()}):
            warnings.warn(message, stacklevel=3)
    usual = panel_size(len(found.by_key))
    picture = PanelPicture(
        title_of(found) if title is None else title,
        x_key=x,
        smoothing=weight,
        is_log=log_y,
        group_by=group_by,
        band=band,
        buckets=buckets,
        width=width or usual[0],
        height=height or usual[1],
    )
    figure: Figure = draw_panels(found.by_key, picture)
    return figure


def choose_numeric(runs: Runs[Any], items: Sequence[str | re.Pattern[str]]) -> list[str]:
    """Chooses the keys of a plot.

    Args:
        runs: The runs.
        items: Keys and patterns.

    Returns:
        The keys; for a pattern, all numeric ones that match it.

    Raises:
        CurveError: There are no runs, no numeric key matches a pattern, or there are too many keys for one picture.
    """
    from histscan.plotting.number_columns import CurveError
    from histscan.plotting.panels import MOST_PANELS

    if not len(runs):
        raise CurveError("there are no runs to plot")
    choice = KeyChoice.of(items)
    names = choice.names if choice else None
    if names is None:
        known = runs.keys()
        numeric = [key.name for key in known if key.type in ("number", "boolean") and key.name != STEP]
        chosen: dict[str, None] = {}
        for item in items:
            found = KeyChoice((item,)).select(numeric)
            if not found:
                all_names = [key.name for key in known]
                text = item if isinstance(item, str) else item.pattern
                if KeyChoice((item,)).select(all_names):
                    raise CurveError(f"no key that matches {text!r} is numeric")
                raise CurveError(describe_missing(text, all_names, "run"))
            chosen.update(dict.fromkeys(found))
        names = list(chosen)
    if len(set(names)) > MOST_PANELS:
        raise CurveError(f"{len(set(names))} keys are too many for one picture: choose at most {MOST_PANELS}")
    return names


def title_of(found: RunCurves) -> str:
    """Names the project of the runs, if they are of one.

    Args:
        found: The curves.
    """
    count = f"{found.runs:,} run{'' if found.runs == 1 else 's'}"
    return f"{found.projects[0]}: {count}" if len(found.projects) == 1 else count
