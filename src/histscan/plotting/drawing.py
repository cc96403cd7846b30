"""Draws curves with matplotlib, without a display."""

from __future__ import annotations

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

__all__ = ["PICTURE_FORMATS", "Picture", "draw", "save"]

PICTURE_FORMATS = ("png", "svg", "pdf")

_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")

# Curves of at most this many points have a marker at each point.
_MARKED_POINTS = 120
_LONGEST_LABEL = 36
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
        width: The width in pixels; SVG and PDF have 150 pixels per inch.
        height: The height in pixels.
    """

    title: str
    x_key: str = STEP
    smoothing: float | None = None
    is_log: bool = False
    width: int = 1500
    height: int = 840


def draw(curves: Sequence[Curve], picture: Picture) -> Any:
    """Draws curves.

    NaN and infinities break the line. NaN and -Infinity are marked at the lower edge, Infinity at the upper edge.
    Behind smoothed curves, the logged values are drawn faintly.

    Args:
        curves: The curves.
        picture: The options.

    Returns:
        A ``matplotlib.figure.Figure``. It has no window, and pyplot's state is not used.
    """
    with style():
        figure = new_figure(picture.width, picture.height)
        axes = figure.add_subplot()
        if picture.is_log:
            axes.set_yscale("log", nonpositive="mask")
        entries: list[tuple[Any, str]] = []
        label, unit = x_unit(curves, picture.x_key)
        marks = {name: 0 for name, _ in _GAPS}
        for number, curve in enumerate(curves):
            placed = Curve(curve.key, curve.x / unit, curve.y)
            color = COLORS[number % len(COLORS)]
            dashes = _DASHES[number // len(COLORS) % len(_DASHES)]
            entries.append((_draw_curve(axes, placed, picture, color, dashes), clipped(curve.key, _LONGEST_LABEL)))
            entries += _mark_gaps(axes, placed, picture, color, marks)
        axes.margins(x=0.015, y=0.06)
        make_room(axes, below=marks["NaN"] + marks["-Infinity"], above=marks["Infinity"])
        _label_axes(axes, curves, picture, label)
        if len(entries) > 1:
            _add_legend(figure, entries)
        return figure


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


def _draw_curve(axes: Any, curve: Curve, picture: Picture, color: str, dashes: Any) -> Any:
    """Draws a curve; returns its legend handle."""
    marker = "o" if len(curve.x) <= _MARKED_POINTS else ""
    raw = thin_out(curve, picture.width)
    if picture.smoothing is None:
        draw_line(axes, raw, color=color, linestyle=dashes, linewidth=1.3, marker=marker, markersize=3.5)
    else:
        draw_line(axes, raw, color=color, linewidth=0.9, marker=marker, markersize=3, alpha=0.28)
        smoothed = thin_out(smooth(curve, picture.smoothing), picture.width)
        draw_line(axes, smoothed, color=color, linestyle=dashes, linewidth=2)
    return Line2D([], [], color=color, linestyle=dashes, linewidth=2, marker=marker, markersize=3.5)


def _mark_gaps(axes: Any, curve: Curve, picture: Picture, color: str, marks: dict[str, int]) -> list[tuple[Any, str]]:
    """Marks NaN and infinities of a curve at the edge of the picture, in one row for each curve.

    Args:
        axes: The axes to draw on.
        curve: The curve.
        picture: The options.
        color: The curve's colour.
        marks: The number of rows of marks so far, by name; updated.

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
        shown = thin_out_marks(curve.x[places], picture.width)
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


def _label_axes(axes: Any, curves: Sequence[Curve], picture: Picture, x_label: str) -> None:
    """Sets the title, the axis labels and the number formats."""
    note = smoothing_note(picture.smoothing)
    title = clipped(picture.title, round(picture.width / DPI / _TITLE_LETTER))
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=12, parse_math=False)
    if note:
        axes.text(1, 1.012, note, transform=axes.transAxes, ha="right", va="bottom", fontsize=8.5, color=PALE_INK)
    axes.set_xlabel(x_label, parse_math=False, labelpad=7)
    if len(curves) == 1:
        axes.set_ylabel(clipped(curves[0].key, 2 * _LONGEST_LABEL), parse_math=False, labelpad=7)
    format_axes(axes, picture.x_key, is_log=picture.is_log)


def _add_legend(figure: Any, entries: Sequence[tuple[Any, str]]) -> None:
    """Adds the legend outside the axes, where it covers no curve."""
    legend = figure.legend(
        [handle for handle, _ in entries],
        # matplotlib drops labels that start with an underscore: the real labels are set below.
        [f"curve {number}" for number in range(len(entries))],
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        handlelength=1.6,
        borderaxespad=1.2,
    )
    for text, (_, label) in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
