"""Draws curves with matplotlib, without a display."""

from __future__ import annotations

import datetime
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from histscan.common.printable import UNPRINTABLE
from histscan.common.steps import STEP
from histscan.plotting.curves import Curve, lone_points, smooth, thin_out, thin_out_marks

with warnings.catch_warnings():
    # Importing matplotlib may warn of its folders and fonts, which does not matter here.
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

# Okabe and Ito's palette, distinguishable with any colour vision; without its yellow, which is too faint on white.
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
# Curves of at most this many points have a marker at each point.
_MARKED_POINTS = 120
_LONGEST_LABEL = 36
# Inches per letter.
_TITLE_LETTER = 0.12

# As a fraction of the height of the axes.
_MARK_ROW = 0.025
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
    """Writes a picture. The same figure always gives the same bytes.

    Args:
        figure: The figure.
        output: The binary file to write to.
        picture_format: One of `PICTURE_FORMATS`.

    Raises:
        OSError: The file can't be written.
    """
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with _style(), warnings.catch_warnings():
        # matplotlib warns of letters that the font lacks, and draws a box for each.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(output, format=picture_format, metadata=dates.get(picture_format))


@contextmanager
def _style() -> Iterator[None]:
    """Applies our style in a ``with`` block, whatever the user's matplotlib settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _draw_curve(axes: Any, curve: Curve, picture: Picture, color: str, dashes: Any) -> Any:
    """Draws a curve; returns its legend handle."""
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
    """Draws a line, and dots where it would have no length."""
    axes.plot(curve.x, np.where(np.isfinite(curve.y), curve.y, np.nan), **look)
    lone = lone_points(curve)
    if lone.any() and not look.get("marker"):
        dots = {"marker": "o", "markersize": look["linewidth"] + 1.2, "markeredgewidth": 0, "linestyle": "none"}
        axes.plot(curve.x[lone], curve.y[lone], **{**look, **dots})


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
    """Extends the y axis, so that rows of marks do not overlap curves."""
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(np.array(axes.get_ylim()))
    span = high - low
    limits = scale.inverted().transform(np.array([low - span * _MARK_ROW * below, high + span * _MARK_ROW * above]))
    axes.set_ylim(*limits)


def _label_axes(axes: Any, curves: Sequence[Curve], picture: Picture, x_label: str) -> None:
    """Sets the title, the axis labels and the number formats."""
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
    """Formats a tick label: ``2,500``, ``0.05``, ``1.5e+06``."""
    size = abs(value)
    if size >= 1_000 and size < 1e7 and value == int(value):
        text = f"{value:,.0f}"
    elif size >= 1e7 and value == int(value) and size < 1e15:
        text = f"{value / 1e6:,g}M" if size < 1e9 else f"{value / 1e9:,g}G"
    else:
        text = f"{value:.6g}"
    return text.replace("-", "\N{MINUS SIGN}")


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


def _x_unit(curves: Sequence[Curve], x_key: str) -> tuple[str, float]:
    """Returns the label of the x axis, and the divisor of its values."""
    if x_key == STEP:
        return "step", 1
    if x_key == "_timestamp":
        # matplotlib counts dates in days.
        return "time (UTC)", 86_400
    if x_key == "_runtime":
        longest = max(abs(float(place)) for curve in curves for place in curve.x[[0, -1]])
        for name, seconds in (("hours", 3_600), ("minutes", 60)):
            if longest >= 5 * seconds:
                return f"runtime ({name})", seconds
        return "runtime (seconds)", 1
    return _clipped(x_key, 2 * _LONGEST_LABEL), 1


def _clipped(text: str, longest: int) -> str:
    """Makes one line of an untrusted name, with unprintable characters replaced."""
    line = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return line if len(line) <= longest else line[: longest - 1] + "…"
