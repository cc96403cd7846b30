"""What all pictures share: style, units of the x axis, number formats, lines, and safe labels."""

from __future__ import annotations

import datetime
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from histscan.common.printable import UNPRINTABLE
from histscan.common.process_lock import ProcessLock
from histscan.common.steps import STEP
from histscan.plotting.curves import Curve, lone_points

_matplotlib_log = logging.getLogger("matplotlib")
_level = _matplotlib_log.level
with warnings.catch_warnings():
    # Importing matplotlib may warn of its folders and fonts, which does not matter here.
    warnings.simplefilter("ignore")
    _matplotlib_log.setLevel(logging.ERROR)
    import matplotlib
    import matplotlib.dates
    import matplotlib.figure
    import matplotlib.layout_engine
    import matplotlib.ticker
    from matplotlib.lines import Line2D
_matplotlib_log.setLevel(_level)

__all__ = [
    "DPI",
    "MARK_ROW",
    "PALE_INK",
    "Figure",
    "Line2D",
    "NumberFormatter",
    "clipped",
    "draw_line",
    "format_axes",
    "make_room",
    "new_figure",
    "number_text",
    "smoothing_note",
    "style",
    "x_unit",
]

DPI = 150
_INK, PALE_INK, _GRID = "#222222", "#6B6B6B", "#E3E3E3"
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
    "savefig.dpi": DPI,
}
_LONGEST_LABEL = 72
_style_lock = ProcessLock()

MARK_ROW = 0.025
"""The height of a row of marks at the edge, as a fraction of the height of the axes."""


@contextmanager
def style() -> Iterator[None]:
    """Applies our style in a ``with`` block, whatever the user's matplotlib settings are."""
    # matplotlib's settings are those of the process: another thread must not save ours as its own.
    with _style_lock, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


class Figure(matplotlib.figure.Figure):
    """A figure in our style, whatever the user's matplotlib settings are, which a notebook shows as a picture.

    It belongs to no window and not to pyplot.
    """

    def draw(self, renderer: Any) -> None:
        """Draws the figure. Ticks are made while drawing, so that the style must be set."""
        with style():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        output = io.BytesIO()
        self.savefig(output, format="png", dpi=DPI)
        return output.getvalue()


def new_figure(width: int, height: int) -> Figure:
    """Makes a figure without a window, whose layout leaves room for labels and legends.

    Args:
        width: The width in pixels.
        height: The height in pixels.

    Returns:
        The figure.
    """
    layout = matplotlib.layout_engine.ConstrainedLayoutEngine(w_pad=0.13, h_pad=0.13)
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout=layout)


def draw_line(axes: Any, curve: Curve, **look: Any) -> None:
    """Draws a line, and dots where it would have no length.

    Args:
        axes: The axes to draw on.
        curve: The curve.
        **look: Colour, width and so on, for matplotlib.
    """
    axes.plot(curve.x, np.where(np.isfinite(curve.y), curve.y, np.nan), **look)
    lone = lone_points(curve)
    if lone.any() and not look.get("marker"):
        dots = {"marker": "o", "markersize": look["linewidth"] + 1.2, "markeredgewidth": 0, "linestyle": "none"}
        axes.plot(curve.x[lone], curve.y[lone], **{**look, **dots})


def make_room(axes: Any, *, below: int, above: int) -> None:
    """Extends the y axis, so that rows of marks do not overlap curves.

    Args:
        axes: The axes.
        below: Rows of marks at the lower edge.
        above: Rows of marks at the upper edge.
    """
    scale = axes.yaxis.get_transform()
    low, high = scale.transform(np.array(axes.get_ylim()))
    span = high - low
    limits = scale.inverted().transform(np.array([low - span * MARK_ROW * below, high + span * MARK_ROW * above]))
    axes.set_ylim(*limits)


def format_axes(axes: Any, x_key: str, *, is_log: bool) -> None:
    """Sets the number formats and the grid.

    Args:
        axes: The axes.
        x_key: The key of the x axis.
        is_log: True if the y axis is logarithmic.
    """
    axes.grid(visible=True, axis="y", which="major")
    axes.grid(visible=False, axis="x")
    if x_key == "_timestamp":
        locator = matplotlib.dates.AutoDateLocator(tz=datetime.timezone.utc)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator, tz=datetime.timezone.utc))
    else:
        axes.xaxis.set_major_formatter(NumberFormatter())
    if not is_log:
        axes.yaxis.set_major_formatter(NumberFormatter())


class NumberFormatter(matplotlib.ticker.Formatter):
    """Formats the labels of an axis, with as many digits as it takes to tell them apart."""

    def __call__(self, value: float, pos: int | None = None) -> str:  # noqa: ARG002 - the name is matplotlib's
        """Formats a label by itself."""
        return number_text(value)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Formats the labels of all ticks."""
        for digits in range(6, 17):
            texts = [number_text(value, digits) for value in values]
            if len(set(texts)) == len(set(values)):
                break
        return texts


def number_text(value: float, digits: int = 6) -> str:
    """Formats a number: ``2,500``, ``0.05``, ``1.5e+06``.

    Args:
        value: The number.
        digits: Significant digits.
    """
    size = abs(value)
    if size >= 1_000 and size < 1e7 and value == int(value):
        text = f"{value:,.0f}"
    elif size >= 1e7 and value == int(value) and size < 1e15:
        text = f"{value / 1e6:,.{digits}g}M" if size < 1e9 else f"{value / 1e9:,.{digits}g}G"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "\N{MINUS SIGN}")


def smoothing_note(weight: float | None) -> str:
    """Describes the smoothing of a picture; empty without smoothing.

    Args:
        weight: The weight of the moving average; None without smoothing.
    """
    return f"moving average, weight {weight:g}" if weight is not None else ""


def x_unit(curves: Sequence[Curve], x_key: str) -> tuple[str, float]:
    """Chooses the unit of the x axis.

    Args:
        curves: All curves of the picture.
        x_key: The key of the x axis.

    Returns:
        The label of the axis, and the divisor of its values.
    """
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
    return clipped(x_key, _LONGEST_LABEL), 1


def clipped(text: str, longest: int) -> str:
    """Makes one line of an untrusted name, with unprintable characters replaced.

    Args:
        text: The name.
        longest: The largest number of characters.

    Returns:
        The line, which ends in an ellipsis if it was cut.
    """
    line = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return line if len(line) <= longest else line[: longest - 1] + "…"
