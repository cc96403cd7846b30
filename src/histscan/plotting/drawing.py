"""Draws curves with matplotlib, without a display."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from histscan.common.steps import STEP
from histscan.plotting.axes import (
    DPI,
    MARK_ROW,
    PALE_INK,
    Figure,
    Line2D,
    clipped,
    draw_line,
    format_axes,
    make_room,
    new_figure,
    smoothing_note,
    style,
    x_unit,
)
from histscan.plotting.colors import COLORS
from histscan.plotting.curves import Curve, smooth, thin_out, thin_out_marks
from histscan.plotting.scales import Panels, panels_of, shared_label

__all__ = ["PICTURE_FORMATS", "Picture", "draw", "save"]

PICTURE_FORMATS = ("png", "svg", "pdf")

_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")

# Curves of at most this many points have a marker at each point.
_MARKED_POINTS = 120
_LONGEST_LABEL = 36
# Panels above each other, before there is a second column.
_MOST_IN_COLUMN = 4
_PANEL_HEIGHT = 330
# Inches per letter.
_TITLE_LETTER = 0.12

_GAPS = (("NaN", "|"), ("Infinity", "^"), ("-Infinity", "v"))


@dataclass(frozen=True)
class Picture:
    """The options of a picture.

    Attributes:
        title: The title, usually the run's name.
        x_key: The key of the x axis.
        smoothing: The weight of `curves.smooth`; None to draw the logged values only.
        is_log: True for a logarithmic y axis, which leaves out values at or below 0.
        panels: Which keys have a panel of their own.
        width: The width in pixels; SVG and PDF have 150 pixels per inch. None for what the panels need.
        height: The height in pixels; None for what the panels need.
    """

    title: str
    x_key: str = STEP
    smoothing: float | None = None
    is_log: bool = False
    panels: Panels = "auto"
    width: int | None = None
    height: int | None = None


def draw(curves: Sequence[Curve], picture: Picture) -> Figure:
    """Draws curves: in one panel, or in several above each other if their scales are too different to be read in one.

    NaN and infinities break the line. NaN and -Infinity are marked at the lower edge, Infinity at the upper edge.
    Behind smoothed curves, the logged values are drawn faintly.

    Args:
        curves: The curves.
        picture: The options.

    Returns:
        The figure. It has no window, and pyplot's state is not used.
    """
    groups = panels_of(curves, picture.panels, is_log=picture.is_log)
    columns, rows, width, height = _layout(len(groups), picture)
    label, unit = x_unit(curves, picture.x_key)
    with style():
        figure = new_figure(width, height)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for place, (axes, group) in enumerate(zip(grid.flat, groups, strict=False)):
            if picture.is_log:
                axes.set_yscale("log", nonpositive="mask")
            entries = _draw_group(axes, group, picture, unit, width // columns)
            # A single curve is named by its axis.
            if len(entries) > 1:
                _add_legend(figure if len(groups) == 1 else axes, entries)
            axes.set_ylabel(_y_label(group, len(groups)), parse_math=False, labelpad=7)
            # Below the last panel of a column, which may be above an empty place.
            if place + columns >= len(groups):
                axes.set_xlabel(label, parse_math=False, labelpad=7)
                axes.tick_params(labelbottom=True)
            format_axes(axes, picture.x_key, is_log=picture.is_log)
        for axes in grid.flat[len(groups) :]:
            axes.set_axis_off()
        figure.align_ylabels(grid[:, 0])
        _add_title(grid[0, 0], grid[0, -1], picture, width)
        return figure


def _layout(panels: int, picture: Picture) -> tuple[int, int, int, int]:
    """Returns columns, rows, width and height of a picture."""
    columns = 1 if panels <= _MOST_IN_COLUMN else 2 if panels <= 4 * _MOST_IN_COLUMN else 3
    rows = math.ceil(panels / columns)
    width = picture.width or 1500 + 400 * (columns - 1)
    return columns, rows, width, picture.height or (840 if panels == 1 else 120 + _PANEL_HEIGHT * rows)


def _draw_group(axes: Any, group: Sequence[Curve], picture: Picture, unit: float, width: int) -> list[tuple[Any, str]]:
    """Draws the curves of a panel; returns their entries of the legend."""
    entries: list[tuple[Any, str]] = []
    marks = {name: 0 for name, _ in _GAPS}
    for number, curve in enumerate(group):
        placed = Curve(curve.key, curve.x / unit, curve.y)
        color, dashes = COLORS[number % len(COLORS)], _DASHES[number // len(COLORS) % len(_DASHES)]
        handle = _draw_curve(axes, placed, picture.smoothing, color, dashes, width)
        entries.append((handle, clipped(curve.key, _LONGEST_LABEL)))
        entries += _mark_gaps(axes, placed, color, marks, width)
    axes.margins(x=0.015, y=0.06)
    make_room(axes, below=marks["NaN"] + marks["-Infinity"], above=marks["Infinity"])
    return entries


def save(figure: Any, output: BinaryIO, picture_format: str) -> None:
    """Writes a picture. The same figure always gives the same bytes.

    Args:
        figure: The figure.
        output: The binary file to write to.
        picture_format: One of `PICTURE_FORMATS`.

    Raises:
        OSError: The file can't be written.
    """
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with style(), warnings.catch_warnings():
        # matplotlib warns of letters that the font lacks, and draws a box for each.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(output, format=picture_format, metadata=dates.get(picture_format))


def _draw_curve(axes: Any, curve: Curve, smoothing: float | None, color: str, dashes: Any, width: int) -> Any:
    """Draws a curve; returns its legend handle."""
    marker = "o" if len(curve.x) <= _MARKED_POINTS else ""
    raw = thin_out(curve, width)
    if smoothing is None:
        draw_line(axes, raw, color=color, linestyle=dashes, linewidth=1.3, marker=marker, markersize=3.5)
    else:
        draw_line(axes, raw, color=color, linewidth=0.9, marker=marker, markersize=3, alpha=0.28)
        smoothed = thin_out(smooth(curve, smoothing), width)
        draw_line(axes, smoothed, color=color, linestyle=dashes, linewidth=2)
    return Line2D([], [], color=color, linestyle=dashes, linewidth=2, marker=marker, markersize=3.5)


def _mark_gaps(axes: Any, curve: Curve, color: str, marks: dict[str, int], width: int) -> list[tuple[Any, str]]:
    """Marks NaN and infinities of a curve at the edge of the picture, in one row for each curve.

    Args:
        axes: The axes to draw on.
        curve: The curve.
        color: The curve's colour.
        marks: The number of rows of marks so far, by name; updated.
        width: The width of the panel in pixels.

    Returns:
        Legend handles and labels of the marks.
    """
    entries: list[tuple[Any, str]] = []
    kinds = (np.isnan(curve.y), np.isposinf(curve.y), np.isneginf(curve.y))
    for (name, marker), places in zip(_GAPS, kinds, strict=True):
        if not places.any():
            continue
        row = marks["Infinity"] if name == "Infinity" else marks["NaN"] + marks["-Infinity"]
        marks[name] += 1
        height = MARK_ROW * (row + 0.6)
        shown = thin_out_marks(curve.x[places], width)
        look: dict[str, Any] = {"linestyle": "none", "marker": marker, "color": color, "markeredgewidth": 1}
        axes.plot(
            shown,
            np.full(len(shown), 1 - height if name == "Infinity" else height),
            transform=axes.get_xaxis_transform(),
            markersize=6 if marker == "|" else 5,
            alpha=0.75,
            **look,
        )
        handle = Line2D([], [], markersize=7, **look)
        entries.append((handle, f"{name} ({np.count_nonzero(places):,})"))
    return entries


def _y_label(group: Sequence[Curve], panels: int) -> str:
    longest = 2 * _LONGEST_LABEL if panels == 1 else _LONGEST_LABEL
    return clipped(shared_label([curve.key for curve in group], longest), longest)


def _add_title(first: Any, last: Any, picture: Picture, width: int) -> None:
    """Sets the title, and a note on what the lines are."""
    note = smoothing_note(picture.smoothing)
    title = clipped(picture.title, round(width / DPI / _TITLE_LETTER))
    first.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=12, parse_math=False)
    if note:
        last.text(1, 1.012, note, transform=last.transAxes, ha="right", va="bottom", fontsize=8.5, color=PALE_INK)


def _add_legend(owner: Any, entries: Sequence[tuple[Any, str]]) -> None:
    """Adds the legend of a figure, or of one of several panels, outside the axes, where it covers no curve."""
    place = (
        {"loc": "outside right upper", "borderaxespad": 1.2}
        if isinstance(owner, Figure)
        else {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    )
    legend = owner.legend(
        [handle for handle, _ in entries],
        # matplotlib drops labels that start with an underscore: the real labels are set below.
        [f"curve {number}" for number in range(len(entries))],
        frameon=False,
        fontsize=9,
        handlelength=1.6,
        **place,
    )
    for text, (_, label) in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
