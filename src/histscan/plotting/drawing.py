"""Pictures of curves, drawn by matplotlib without a display."""

from __future__ import annotations

import datetime
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from histscan.common.steps import STEP
from histscan.plotting.curves import Curve, lone_points, smooth, thin_out, thin_out_marks

with warnings.catch_warnings():
    # What it has to say about its folders and fonts is of no use here.
    warnings.simplefilter("ignore")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    import matplotlib.dates
    import matplotlib.figure
    import matplotlib.layout_engine
    import matplotlib.lines
    import matplotlib.ticker

__all__ = ["PICTURE_FORMATS", "Picture", "draw", "save"]

PICTURE_FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's colors, which people of any color vision tell apart; their yellow is too faint on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")

_DPI = 150
_INK, _PALE_INK, _GRID = "#222222", "#6B6B6B", "#E3E3E3"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": "#B0B0B0",
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "text.color": _INK,
    "xtick.color": "#B0B0B0",
    "xtick.labelcolor": _INK,
    "ytick.color": "#B0B0B0",
    "ytick.labelcolor": _INK,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "path.simplify": False,
    "svg.hashsalt": "histscan",
    "savefig.dpi": _DPI,
}
# A curve of fewer points shows where they are.
_MARKED_POINTS = 120
_LONGEST_LABEL = 36
# Of an inch, for each letter.
_TITLE_LETTER = 0.12

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Of the height of the axes.
_MARK_ROW = 0.025
_GAPS = (("NaN", "|"), ("Infinity", "^"), ("-Infinity", "v"))


@dataclass(frozen=True)
class Picture:
    """How a picture shall look.

    Attributes:
        title: What stands above it, which should be the run's name.
        x_key: The key that is drawn to the right.
        smoothing: The weight of `curves.smooth`; None for curves as they are.
        is_log: Whether the axis of values is logarithmic. What is not positive has no place there.
        width: In pixels of a PNG; 150 make an inch of an SVG or PDF.
        height: In pixels, as the width.
    """

    title: str
    x_key: str = STEP
    smoothing: float | None = None
    is_log: bool = False
    width: int = 1500
    height: int = 840


def draw(curves: Sequence[Curve], picture: Picture) -> Any:
    """Draws curves.

    Values without a place break the line. NaN is marked at the lower edge, an infinity at the edge that it lies beyond.
    Where curves are smoothed, the logged values are faint behind them.

    Args:
        curves: The curves.
        picture: How it shall look.

    Returns:
        A ``matplotlib.figure.Figure``, which belongs to no window and no state of pyplot.
    """
    with _style():
        size = (picture.width / _DPI, picture.height / _DPI)
        layout = matplotlib.layout_engine.ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.13)
        figure = matplotlib.figure.Figure(figsize=size, dpi=_DPI, layout=layout)
        axes = figure.add_subplot()
        if picture.is_log:
            axes.set_yscale("log", nonpositive="mask")
        entries: list[tuple[Any, str]] = []
        label, unit = _x_unit(curves, picture.x_key)
        marks = {name: 0 for name, _ in _GAPS}
        for number, curve in enumerate(curves):
            placed = Curve(curve.key, curve.x / unit, curve.y)
            color = _COLORS[number % len(_COLORS)]
            dashes = _DASHES[number // len(_COLORS) % len(_DASHES)]
            entries.append((_draw_curve(axes, placed, picture, color, dashes), _clipped(curve.key, _LONGEST_LABEL)))
            entries += _mark_gaps(axes, placed, picture, color, marks)
        axes.margins(x=0.015, y=0.06)
        _make_room(axes, below=marks["NaN"] + marks["-Infinity"], above=marks["Infinity"])
        axes.grid(visible=True, axis="y", which="major")
        axes.grid(visible=False, axis="x")
        _label_axes(axes, curves, picture, label)
        if len(entries) > 1:
            _add_legend(figure, entries)
        return figure


def save(figure: Any, output: BinaryIO, picture_format: str) -> None:
    """Writes a picture; the same one always gives the same bytes.

    Args:
        figure: The figure.
        output: Where to write.
        picture_format: One of `PICTURE_FORMATS`.

    Raises:
        OSError: It can't be written.
    """
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with _style(), warnings.catch_warnings():
        # A font may lack letters of a name; a box stands for them.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(output, format=picture_format, metadata=dates.get(picture_format))


@contextmanager
def _style() -> Iterator[None]:
    """Draws in our style, whatever the user's own settings of matplotlib are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _draw_curve(axes: Any, curve: Curve, picture: Picture, color: str, dashes: Any) -> Any:
    """Draws a curve; returns what the legend should show of it."""
    marker = "o" if len(curve.x) <= _MARKED_POINTS else ""
    raw = thin_out(curve, picture.width)
    if picture.smoothing is None:
        _draw_line(axes, raw, color=color, linestyle=dashes, linewidth=1.3, marker=marker, markersize=3.5)
    else:
        _draw_line(axes, raw, color=color, linewidth=0.9, marker=marker, markersize=3, alpha=0.28)
        smoothed = thin_out(smooth(curve, picture.smoothing), picture.width)
        _draw_line(axes, smoothed, color=color, linestyle=dashes, linewidth=2)
    return matplotlib.lines.Line2D([], [], color=color, linestyle=dashes, linewidth=2, marker=marker, markersize=3.5)


def _draw_line(axes: Any, curve: Curve, **look: Any) -> None:
    """Draws the line, and dots where it would have no length."""
    axes.plot(curve.x, np.where(np.isfinite(curve.y), curve.y, np.nan), **look)
    lone = lone_points(curve)
    if lone.any() and not look.get("marker"):
        dots = {"marker": "o", "markersize": look["linewidth"] + 1.2, "markeredgewidth": 0, "linestyle": "none"}
        axes.plot(curve.x[lone], curve.y[lone], **{**look, **dots})


def _mark_gaps(axes: Any, curve: Curve, picture: Picture, color: str, marks: dict[str, int]) -> list[tuple[Any, str]]:
    """Marks where a curve has no place, at the edge of the picture; each curve in a row of its own.

    Args:
        axes: Where to draw.
        curve: The curve.
        picture: How it shall look.
        color: The curve's color.
        marks: How many rows of marks there are of each kind; is counted on.

    Returns:
        What the legend should have of them.
    """
    entries: list[tuple[Any, str]] = []
    kinds = (np.isnan(curve.y), np.isposinf(curve.y), np.isneginf(curve.y))
    for (name, marker), places in zip(_GAPS, kinds, strict=True):
        if not places.any():
            continue
        row = marks["Infinity"] if name == "Infinity" else marks["NaN"] + marks["-Infinity"]
        marks[name] += 1
        height = _MARK_ROW * (row + 0.6)
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
        handle = matplotlib.lines.Line2D([], [], markersize=7, **look)
        entries.append((handle, f"{name} ({np.count_nonzero(places):,})"))
    return entries


def _make_room(axes: Any, *, below: int, above: int) -> None:
    """Widens the axis of values, so that rows of marks do not stand on curves."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(np.array(axes.get_ylim()))
    span = high - low
    limits = scale.inverted().transform(np.array([low - span * _MARK_ROW * below, high + span * _MARK_ROW * above]))
    axes.set_ylim(*limits)


def _label_axes(axes: Any, curves: Sequence[Curve], picture: Picture, x_label: str) -> None:
    """Writes the title and what the axes are, and has their numbers readable."""
    note = f"moving average, weight {picture.smoothing:g}" if picture.smoothing is not None else ""
    title = _clipped(picture.title, round(picture.width / _DPI / _TITLE_LETTER))
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=12, parse_math=False)
    if note:
        axes.text(1, 1.012, note, transform=axes.transAxes, ha="right", va="bottom", fontsize=8.5, color=_PALE_INK)
    axes.set_xlabel(x_label, parse_math=False, labelpad=7)
    if len(curves) == 1:
        axes.set_ylabel(_clipped(curves[0].key, 2 * _LONGEST_LABEL), parse_math=False, labelpad=7)
    if picture.x_key == "_timestamp":
        locator = matplotlib.dates.AutoDateLocator(tz=datetime.timezone.utc)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator, tz=datetime.timezone.utc))
    else:
        axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_number_text))
    if not picture.is_log:
        axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_number_text))


def _number_text(value: float, _place: int | None = None) -> str:
    """Writes a number at an axis: ``2,500``, ``0.05``, ``1.5e+06``."""
    size = abs(value)
    if size >= 1_000 and size < 1e7 and value == int(value):
        text = f"{value:,.0f}"
    elif size >= 1e7 and value == int(value) and size < 1e15:
        text = f"{value / 1e6:,g}M" if size < 1e9 else f"{value / 1e9:,g}G"
    else:
        text = f"{value:.6g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _add_legend(figure: Any, entries: Sequence[tuple[Any, str]]) -> None:
    """Puts the legend beside the curves, where it never covers one."""
    legend = figure.legend(
        [handle for handle, _ in entries],
        # matplotlib leaves out labels that begin with an underscore: the right ones are set below.
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


def _x_unit(curves: Sequence[Curve], x_key: str) -> tuple[str, float]:
    """What stands below the axis to the right, and what its numbers are to be divided by."""
    if x_key == STEP:
        return "step", 1
    if x_key == "_timestamp":
        # matplotlib's dates are days.
        return "time (UTC)", 86_400
    if x_key == "_runtime":
        longest = max(abs(float(place)) for curve in curves for place in curve.x[[0, -1]])
        for name, seconds in (("hours", 3_600), ("minutes", 60)):
            if longest >= 5 * seconds:
                return f"runtime ({name})", seconds
        return "runtime (seconds)", 1
    return _clipped(x_key, 2 * _LONGEST_LABEL), 1


def _clipped(text: str, longest: int) -> str:
    """Makes one line of a name, which may hold anything."""
    line = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return line if len(line) <= longest else line[: longest - 1] + "…"
