"""Plots of many runs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from histscan.common.key_patterns import KeyChoice
from histscan.common.near_keys import describe_missing
from histscan.common.printable import printable
from histscan.common.steps import STEP
from histscan.runs.plots import require_plotting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from histscan.many.runs import Runs
    from histscan.plotting.axis_values import Alignment
    from histscan.plotting.run_curves import RunCurves
    from histscan.runs.plots import PlottedKeys

__all__ = ["BandKind", "RunsPlots", "choose_numeric", "title_of"]

BandKind = Literal["std", "minmax", "ci95"]
"""What a band around a mean shows: the standard deviation, minimum and maximum, or the 95 % confidence interval."""


class RunsPlots:
    """What collections of runs can plot. Needs matplotlib and pyarrow, but no display; pyplot is not used."""

    def plot(
        self,
        keys: PlottedKeys,
        *,
        x: str = STEP,
        smooth: float | None = None,
        log_y: bool = False,
        align: Alignment | None = None,
        group_by: str | None = None,
        band: BandKind | None = None,
        buckets: int = 200,
        min_step: int = 0,
        max_step: int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        progress: bool = False,
        title: str | None = None,
        size: tuple[int, int] | None = None,
    ) -> Figure:
        """Plots keys of the runs: a line for each run, and a panel for each key.

        Up to 12 runs or groups are named in a legend, more have the colours of a scale.

        Args:
            keys: As for `histscan.runs.plots.Plots.plot`.
            x: As there.
            smooth: As there.
            log_y: As there.
            align: As there.
            group_by: Give runs with the same value of this field the same colour: ``"config.lr"``, ``"group"``, ….
            band: Plot the mean of each group (without `group_by`, of all runs), and around it the standard deviation of
                its runs (``"std"``), their minimum and maximum (``"minmax"``), or the 95 % confidence interval of the
                mean (``"ci95"``).
            buckets: Places along the x axis at which `band` compares the runs.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end.
            on_error: ``"skip"`` leaves out runs that can't be read, with a warning; ``"raise"`` raises their error.
            progress: True for a progress bar, on a terminal or in a notebook.
            title: The title; None for the name of the project and the number of runs.
            size: Width and height in pixels; there are 150 to an inch. None for what the panels need.

        Returns:
            A ``matplotlib.figure.Figure``, which belongs to no window.

        Raises:
            HistoryError: A run can't be read.
            ImportError: matplotlib or pyarrow is not installed.
            ValueError: A key can't be plotted, there are no runs, or an argument is out of its range.
        """
        require_plotting()
        runs: Any = self
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
            for message in find_nonpositive(
                {key: [run.curve for run in curves] for key, curves in found.by_key.items()}
            ):
                warnings.warn(printable(message), stacklevel=2)
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
