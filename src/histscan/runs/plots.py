"""Plots of a run."""

from __future__ import annotations

import re
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from histscan.columns.frames import Frames
from histscan.common.install_hint import install_hint
from histscan.common.key_patterns import KeyChoice
from histscan.common.near_keys import describe_missing
from histscan.common.printable import printable
from histscan.common.steps import STEP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from histscan.columns.scan import Scan
    from histscan.plotting.axis_values import Alignment
    from histscan.plotting.curves import Curve
    from histscan.plotting.scales import Panels
    from histscan.sources.source_option import SourceOption

__all__ = ["Plots", "PlottedKeys", "read_plotted", "require_plotting"]

PlottedKeys = str | re.Pattern[str] | Sequence[str | re.Pattern[str]]
"""A key, a glob or a regular expression; or several of them."""


class Plots(Frames):
    """What runs can plot. Needs matplotlib and pyarrow, but no display; pyplot is not used."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The display name, which is the title of plots."""

    @abstractmethod
    def keys(self) -> Sequence[str]:
        """Finds the keys of the history; nested ones are dotted."""

    @abstractmethod
    def scan_steps(self, min_step: int, max_step: int | None, source: SourceOption | None) -> Scan:
        """Scans all keys of some steps.

        Args:
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end.
            source: Where the rows of a run on a server come from, as for its ``scan_history``; None for the default.

        Raises:
            ValueError: `source` is given, and the run is in files.
        """

    def plot(
        self,
        keys: PlottedKeys,
        *,
        x: str = STEP,
        smooth: float | None = None,
        log_y: bool = False,
        align: Alignment | None = None,
        panels: Panels = "auto",
        min_step: int = 0,
        max_step: int | None = None,
        source: SourceOption | None = None,
        title: str | None = None,
        size: tuple[int, int] | None = None,
    ) -> Figure:
        """Plots keys of the history: a line for each, through the rows that have it.

        NaN and infinities break the line and are marked at the edge. Every spike stays visible, however many rows there
        are. A notebook shows the figure; ``savefig`` writes it.

        Args:
            keys: The keys; globs (``"val/*"``) and compiled regular expressions choose all numeric keys that match.
            x: The key of the x axis: ``"_step"``, ``"_runtime"``, ``"_timestamp"`` or any other key.
            smooth: Plot moving averages as W&B's line plots do, over the faint logged values: a weight from 0 to below
                1, or True for 0.6.
            log_y: Use a logarithmic y axis, which leaves out values at or below 0, with a warning.
            align: How a row gets its x if it was logged without it: from another row of the same step (``"outer"``),
                the last one before it (``"ffill"``), or interpolated between those around it (``"interpolate"``). None
                leaves such rows out.
            panels: ``"auto"`` gives keys of very different scale panels of their own, ``"one"`` has all keys in one
                panel, ``"each"`` has a panel for each key.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end.
            source: For runs on a server, as for their ``scan_history``; None for the default.
            title: The title; None for the run's name.
            size: Width and height in pixels; there are 150 to an inch. None for what the panels need.

        Returns:
            A ``matplotlib.figure.Figure``, which belongs to no window.

        Raises:
            HistoryError: The history can't be read.
            ImportError: matplotlib or pyarrow is not installed.
            ValueError: A key can't be plotted, or an argument is out of its range.
        """
        require_plotting()
        from histscan.plotting.drawing import Picture, draw
        from histscan.plotting.options import check_options, find_nonpositive

        weight, (width, height) = check_options(smooth=smooth, align=align, panels=panels, size=size)
        curves = read_plotted(self, self.scan_steps(min_step, max_step, source), keys, x, align)
        if log_y:
            for message in find_nonpositive({curve.key: [curve] for curve in curves}):
                warnings.warn(printable(message), stacklevel=2)
        picture = Picture(
            self.name if title is None else title,
            x_key=x,
            smoothing=weight,
            is_log=log_y,
            panels=panels,
            width=width,
            height=height,
        )
        return draw(curves, picture)


def read_plotted(run: Plots, scan: Scan, keys: PlottedKeys, x: str, align: Alignment | None) -> list[Curve]:
    """Reads the curves of a plot.

    Args:
        run: The run.
        scan: A scan of all its keys.
        keys: As for `Plots.plot`.
        x: The key of the x axis.
        align: As for `Plots.plot`.

    Returns:
        The curves.

    Raises:
        CurveError: A key can't be plotted, or no numeric key matches a pattern.
        HistoryError: The history can't be read.
    """
    from histscan.plotting.curves import CurveError, read_curves

    items = [keys] if isinstance(keys, str | re.Pattern) else list(keys)
    choice = KeyChoice.of(items)
    names = choice.names if choice else None
    if names is not None:
        return read_curves(scan, names, x, align=align)
    known = run.keys()
    matches = [[name for name in KeyChoice((item,)).select(known) if name != STEP or item == STEP] for item in items]
    for item, found in zip(items, matches, strict=True):
        if not found:
            raise CurveError(describe_missing(_text(item), known))
    optional = {name for item, found in zip(items, matches, strict=True) for name in found if name != item}
    curves = read_curves(scan, [name for found in matches for name in found], x, align=align, optional=optional)
    plotted = {curve.key for curve in curves}
    for item, found in zip(items, matches, strict=True):
        if not plotted.intersection(found):
            raise CurveError(f"no key that matches {_text(item)!r} is numeric")
    return curves


def require_plotting() -> None:
    """Checks that the packages of plots are installed.

    Raises:
        ImportError: One of them is not; the message says how to install it.
    """
    try:
        import matplotlib  # noqa: F401
        import numpy  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(f"plot() needs {error.name}: {install_hint('plot')}", name=error.name) from error


def _text(item: str | re.Pattern[str]) -> str:
    return item if isinstance(item, str) else item.pattern
