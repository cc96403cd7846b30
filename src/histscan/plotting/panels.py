"""Draws the curves of many runs: a panel for each key, and a legend or a colour bar for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from histscan.common.steps import STEP
from histscan.plotting.axes import (
    DPI,
    PALE_INK,
    Line2D,
    NumberFormatter,
    clipped,
    draw_line,
    format_axes,
    make_room,
    new_figure,
    smoothing_note,
    style,
    x_unit,
)
from histscan.plotting.bands import BANDS, find_bands
from histscan.plotting.colors import COLORS, scale_colors
from histscan.plotting.curves import Curve, smooth, thin_out, thin_out_marks
from histscan.plotting.run_colors import ColorScale, RunColors, choose_colors, group_name, shorten
from histscan.plotting.run_curves import RunCurve

__all__ = ["MOST_PANELS", "PanelPicture", "draw_panels", "panel_size"]

MOST_PANELS = 24
"""The most keys in one picture."""

# Up to this many lines are drawn in full strength.
_FEW_LINES = 12
_FAINTEST = 0.3
# Of more lines, this many columns of pixels in all are drawn: how spiky each of them is can't be seen any more.
_POINTS, _FEWEST_COLUMNS = 60_000, 80
_LONGEST_LABEL = 34
_LONGEST_KEY = 60
_LETTER = 0.12
_COLUMNS = 3
_PANEL_WIDTH, _PANEL_HEIGHT, _LEGEND_WIDTH = 620, 430, 300


@dataclass(frozen=True)
class PanelPicture:
    """The options of a picture of many runs.

    Attributes:
        title: The title.
        x_key: The key of the x axis.
        smoothing: The weight of `curves.smooth`; None to draw the logged values.
        is_log: True for logarithmic y axes, which leave out values at or below 0.
        group_by: The field of runs that groups them; None without groups.
        band: One of `bands.BANDS`: draw the mean of each group and a band around it; None for a line for each run.
        buckets: The number of places of a mean.
        width: The width in pixels; SVG and PDF have 150 pixels per inch.
        height: The height in pixels.
    """

    title: str
    x_key: str = STEP
    smoothing: float | None = None
    is_log: bool = False
    group_by: str | None = None
    band: str | None = None
    buckets: int = 200
    width: int = 1500
    height: int = 840


def panel_size(panels: int) -> tuple[int, int]:
    """Returns the size in pixels of a picture of so many panels."""
    if panels == 1:
        return 1500, 840
    columns = _columns(panels)
    rows = math.ceil(panels / columns)
    # A single row would be a narrow strip.
    return columns * _PANEL_WIDTH + _LEGEND_WIDTH, max(rows * _PANEL_HEIGHT, 560) + 90


def draw_panels(by_key: Mapping[str, Sequence[RunCurve]], picture: PanelPicture) -> Any:
    """Draws curves of many runs.

    NaN and infinities break the lines; they are marked at the edges.

    Args:
        by_key: The curves of each key.
        picture: The options.

    Returns:
        A ``matplotlib.figure.Figure``. It has no window, and pyplot's state is not used.
    """
    everything = [run for curves in by_key.values() for run in curves]
    colors = choose_colors(everything, picture.group_by)
    label, unit = x_unit([run.curve for run in everything], picture.x_key)
    columns = _columns(len(by_key))
    rows = math.ceil(len(by_key) / columns)
    with style():
        figure = new_figure(picture.width, picture.height)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        panels = list(grid.flat)
        for place, (key, runs) in enumerate(by_key.items()):
            axes = panels[place]
            placed = [
                RunCurve(run.place, run.name, run.group, Curve(key, run.curve.x / unit, run.curve.y)) for run in runs
            ]
            _draw_panel(axes, placed, colors, picture, width=round(picture.width / columns))
            _label_panel(axes, key, len(by_key), picture)
            # Below the last panel of a column, which may be above an empty place.
            if place + columns >= len(by_key):
                axes.set_xlabel(label, parse_math=False, labelpad=7)
                axes.tick_params(labelbottom=True)
        for axes in panels[len(by_key) :]:
            axes.set_axis_off()
        _add_title(figure, panels[0], len(by_key), picture, len({run.place for run in everything}))
        if colors.scale is not None:
            _add_scale(figure, panels[: len(by_key)], colors.scale)
        elif picture.group_by is not None or (picture.band is None and len(colors.entries) > 1):
            _add_legend(figure, colors, has_band=picture.band is not None)
        return figure


def _columns(panels: int) -> int:
    if panels == 1:
        return 1
    return 2 if panels in (2, 4) else _COLUMNS


def _draw_panel(axes: Any, runs: Sequence[RunCurve], colors: RunColors, picture: PanelPicture, width: int) -> None:
    """Draws the curves of one key."""
    if picture.is_log:
        axes.set_yscale("log", nonpositive="mask")
    below = above = 0
    if picture.band is None:
        below, above = _draw_lines(axes, runs, colors, picture, width)
    else:
        _draw_bands(axes, runs, colors, picture)
    axes.margins(x=0.015, y=0.06)
    make_room(axes, below=below, above=above)
    format_axes(axes, picture.x_key, is_log=picture.is_log)


def _draw_lines(
    axes: Any, runs: Sequence[RunCurve], colors: RunColors, picture: PanelPicture, width: int
) -> tuple[int, int]:
    """Draws a line for each run; returns the rows of marks below and above them."""
    has_few = len(runs) <= _FEW_LINES
    strength = 1.0 if has_few else max(_FAINTEST, (_FEW_LINES / len(runs)) ** 0.4)
    width_of_lines = 1.3 if len(runs) <= _FEW_LINES // 2 else 1.0 if has_few else 0.8
    look: dict[str, Any] = {"linewidth": width_of_lines, "alpha": strength}
    columns = width if has_few else min(max(_POINTS // len(runs), _FEWEST_COLUMNS), width // 2)
    if not has_few:
        # Round joins of spikes are invisible in thin lines, and take most of the time to draw.
        look |= {"solid_joinstyle": "bevel", "solid_capstyle": "butt"}
    order = {group: place for place, group in enumerate(colors.by_group)}
    below = above = 0
    for run in sorted(runs, key=lambda run: order.get(group_name(run.group), 0)):
        color = colors.by_place[run.place]
        raw = thin_out(run.curve, columns)
        if picture.smoothing is None:
            draw_line(axes, raw, color=color, **look)
        else:
            if has_few:
                draw_line(axes, raw, color=color, linewidth=0.8, alpha=0.22)
            draw_line(axes, thin_out(smooth(run.curve, picture.smoothing), columns), color=color, **look)
        marks = run.curve.x[~np.isfinite(run.curve.y) & ~np.isposinf(run.curve.y)]
        infinities = run.curve.x[np.isposinf(run.curve.y)]
        for places, height, marker in ((marks, 0.014, "|"), (infinities, 0.986, "^")):
            if len(places):
                shown = thin_out_marks(places, columns)
                axes.plot(
                    shown,
                    np.full(len(shown), height),
                    transform=axes.get_xaxis_transform(),
                    linestyle="none",
                    marker=marker,
                    markersize=5,
                    color=color,
                    alpha=0.75,
                )
        below, above = max(below, int(len(marks) > 0)), max(above, int(len(infinities) > 0))
    return below, above


def _draw_bands(axes: Any, runs: Sequence[RunCurve], colors: RunColors, picture: PanelPicture) -> None:
    """Draws the mean and the band of each group."""
    groups: dict[str, list[Curve]] = {name: [] for name in colors.by_group}
    for run in runs:
        curve = run.curve if picture.smoothing is None else smooth(run.curve, picture.smoothing)
        groups.setdefault(group_name(run.group) if picture.group_by else "", []).append(curve)
    bands = find_bands(list(groups.values()), picture.band or "", picture.buckets)
    for name, band in zip(groups, bands, strict=True):
        color = colors.by_group.get(name, COLORS[0])
        low, high = band.low, band.high
        if picture.is_log:
            # A band that reaches below 0 ends at the lower edge of the picture.
            low = np.where(low > 0, low, np.finfo(np.float64).tiny)
        faint = 0.2 if len(groups) <= _FEW_LINES else 0.08
        axes.fill_between(band.x, low, high, color=color, alpha=faint, linewidth=0)
        axes.plot(band.x, band.mean, color=color, linewidth=1.8 if len(groups) <= _FEW_LINES else 1.1)
    if picture.is_log:
        _limit_log(axes, list(groups.values()))


def _limit_log(axes: Any, groups: Sequence[Sequence[Curve]]) -> None:
    """Sets the limits of a logarithmic axis by the values, not by the edges of bands that reach below 0."""
    values = np.concatenate([curve.y for curves in groups for curve in curves] or [np.empty(0)])
    positive = values[np.isfinite(values) & (values > 0)]
    if len(positive):
        axes.set_ylim(positive.min() / 1.15, positive.max() * 1.15)


def _label_panel(axes: Any, key: str, panels: int, picture: PanelPicture) -> None:
    name = clipped(key, _LONGEST_KEY if panels == 1 else round(picture.width / DPI / _columns(panels) / 0.1))
    if panels == 1:
        axes.set_ylabel(name, parse_math=False, labelpad=7)
    else:
        axes.set_title(name, loc="left", fontsize=10.5, pad=6, parse_math=False)


def _add_title(figure: Any, first: Any, panels: int, picture: PanelPicture, runs: int) -> None:
    """Sets the title, and a note on what the lines are."""
    title = clipped(picture.title, round(picture.width / DPI / _LETTER))
    parts = [BANDS[picture.band] + ("" if picture.group_by else f" of {runs} runs")] if picture.band else []
    note = ", ".join(filter(None, [*parts, smoothing_note(picture.smoothing)]))
    if panels == 1:
        first.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=12, parse_math=False)
        if note:
            first.text(1, 1.012, note, transform=first.transAxes, ha="right", va="bottom", fontsize=8.5, color=PALE_INK)
        return
    heading = figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold")
    heading.set_parse_math(False)
    if note:
        figure.supxlabel(note, x=0.012, ha="left", fontsize=8.5, color=PALE_INK)


def _add_legend(figure: Any, colors: RunColors, *, has_band: bool) -> None:
    """Adds the legend outside the axes, where it covers no curve."""
    handles = [Line2D([], [], color=entry.color, linewidth=2.4 if has_band else 2) for entry in colors.entries]
    if not handles:
        return
    legend = figure.legend(
        handles,
        # matplotlib drops labels that start with an underscore: the real labels are set below.
        [f"curve {number}" for number in range(len(handles))],
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        handlelength=1.6,
        borderaxespad=1.2,
        title="curves" if colors.title else None,
        title_fontsize=9,
        alignment="left",
    )
    labels = shorten([entry.label for entry in colors.entries], _LONGEST_LABEL)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(clipped(label, _LONGEST_LABEL))
    if colors.title:
        legend.get_title().set_parse_math(False)
        legend.get_title().set_text(clipped(colors.title, _LONGEST_LABEL))


def _add_scale(figure: Any, panels: Sequence[Any], scale: ColorScale) -> None:
    """Adds a colour bar."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator

    shades = scale_colors([place / 63 for place in range(64)])
    norm = (LogNorm if scale.is_log else Normalize)(scale.low, scale.high)
    mappable = ScalarMappable(norm, LinearSegmentedColormap.from_list("scale", shades))
    bar = figure.colorbar(mappable, ax=panels, pad=0.015, aspect=32, fraction=0.04)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2.5, labelsize=9)
    bar.set_label(clipped(scale.label, _LONGEST_KEY), labelpad=8, parse_math=False)
    if scale.is_whole and not scale.is_log:
        bar.locator = MaxNLocator(6, integer=True)
    if not scale.is_log:
        bar.formatter = NumberFormatter()
    bar.update_ticks()
