"""The windows of steps that a scan requests, one page each.

Fixed windows are those of wandb's classes. Adaptive windows widen where rows are sparse, and return the same rows,
because

* each request allows as many rows as its window has steps, so that a server has no reason to sample;
* the answer for a wide window is only used if it has fewer rows than a page may have. Otherwise the same steps are
  requested again in ordinary windows. So if a server limits the rows of an answer, wide windows come no closer to the
  limit than fixed ones.

Memory stays bounded when a run suddenly becomes dense. Windows only widen after sparse pages, to `_GROWTH` times the
width of those. The widest has the steps of `_WIDEST` ordinary windows, and all requested windows together have at most
twice as many. The first dense answer is dropped, the requests after it are cancelled, and all further windows are
narrow. So a scan never holds more than 2 * `_WIDEST` * `page_size` rows of prefetched pages, and at most `page_size`
rows of the page from which it continues.

After the last row before a gap, a probe finds the rows after the gap, be it 1,000 steps or 10^8 long. A probe is a
window of all remaining steps that allows only a few rows. A server samples down to that number of rows, but never to
none: an empty answer means that the window is empty, and any other that its lowest step has a row. Rows of a probe's
answer are never used.
"""

from __future__ import annotations

from math import floor
from typing import Any, NamedTuple, Protocol

from histscan._core.pages.page import Page
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError
from histscan.paging.options import WindowOption

__all__ = ["Window", "Windows", "make_windows", "widest"]

# In multiples of the page size. 1,000 rows in 1,000,000 steps take about 30 requests, and 1,000 with fixed windows.
_WIDEST = 64
_GROWTH = 8

# Rows that a probe allows. With a million rows, sampled down to 100, three probes find the lowest step.
_PROBE_ROWS = 100
# The most probes in one gap, in case a server samples in another way.
_MOST_PROBES = 8

# The highest Int of GraphQL.
_MOST_SAMPLES = 2**31 - 1


class Window(NamedTuple):
    """The steps of one page.

    Attributes:
        first: First step, inclusive.
        stop: The end, exclusive; at most the scan's end.
        width: The most rows of the answer: the number of steps, not shortened at the scan's end. For a probe, only
            the number of rows.
    """

    first: int
    stop: int
    width: int

    @property
    def is_probe(self) -> bool:
        """True if the window may have more rows than the answer may have."""
        return self.stop - self.first > self.width

    @property
    def next_first(self) -> int:
        """First step of the next window; may be beyond the scan's end."""
        return max(self.first + self.width, self.stop)

    @property
    def label(self) -> str:
        """The window in error messages."""
        return f"[{self.first}, {self.stop})"


class Windows(Protocol):
    """Plans the windows of one pass over a run."""

    @property
    def page_size(self) -> int:
        """Steps of an ordinary window."""

    def plan(self, first: int, stop_step: int) -> Window:
        """Returns the window that begins at a step.

        Args:
            first: The step.
            stop_step: The scan's end, exclusive.
        """

    def has_room(self, steps_under_way: int) -> bool:
        """Returns True if another window may be requested.

        Args:
            steps_under_way: Steps of the pages that were requested and not taken yet.
        """

    def accepts(self, window: Window, page: Page | list[Any]) -> bool:
        """Returns True if a page has exactly the rows that fixed windows would return, and adapts to their number.

        Args:
            window: The page's window.
            page: The page.

        Returns:
            False if the steps must be requested again; `plan` then returns a narrower window.
        """

    def accepts_refusal(self, window: Window) -> bool:
        """Returns True if a server may have refused a request for its width. Windows are then never widened again.

        Args:
            window: The window of the request.

        Returns:
            True if the steps must be requested again; `plan` then returns a narrower window.
        """


class _FixedWindows:
    """Windows of `page_size` steps."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size

    def plan(self, first: int, stop_step: int) -> Window:
        return Window(first, min(first + self.page_size, stop_step), self.page_size)

    def has_room(self, steps_under_way: int) -> bool:  # noqa: ARG002
        return True

    def accepts(self, window: Window, page: Page | list[Any]) -> bool:  # noqa: ARG002
        return True

    def accepts_refusal(self, window: Window) -> bool:  # noqa: ARG002
        return False


class _AdaptiveWindows:
    """Windows as wide as half a page of rows needs, but at least `page_size` steps, and probes in gaps."""

    def __init__(self, page_size: int, *, probes: bool, first_width: int) -> None:
        self.page_size = page_size
        self._width = first_width
        self._widest = widest(page_size)
        self._most_probes = _MOST_PROBES if probes else 0
        self._probes_left = self._most_probes
        self._is_in_gap = False
        self._row_step: int | None = None  # lowest step after the gap that is known to have a row

    def plan(self, first: int, stop_step: int) -> Window:
        if self._is_in_gap and self._probes_left:
            gap_stop = stop_step if self._row_step is None else min(self._row_step, stop_step)
            if gap_stop - first > self._width:
                return Window(first, gap_stop, min(_PROBE_ROWS, self.page_size))
        return Window(first, min(first + self._width, stop_step), self._width)

    def has_room(self, steps_under_way: int) -> bool:
        return steps_under_way + self._width <= 2 * self.page_size * _WIDEST or steps_under_way == 0

    def accepts(self, window: Window, page: Page | list[Any]) -> bool:
        if window.is_probe:
            return self._is_empty(window, page)
        rows = len(page)
        if window.width > self.page_size and rows >= self.page_size:
            self._width = self.page_size
            return False
        if rows:
            self._is_in_gap, self._probes_left = False, self._most_probes
        elif self._probes_left:
            # A gap begins only with an empty window of the current width, not with one planned before it widened.
            if not self._is_in_gap and window.width >= self._width:
                self._is_in_gap, self._row_step = True, None
            return True
        steps = int(window.stop - window.first)
        # Half a page, because density varies, and an answer with a page of rows or more is dropped.
        fitting = self.page_size * steps // (2 * rows) if rows else self._widest
        self._width = max(self.page_size, min(fitting, window.width * _GROWTH, self._widest))
        return True

    def _is_empty(self, probe: Window, page: Page | list[Any]) -> bool:
        """Returns True if a probe found no row; otherwise stores the lowest step that it found."""
        steps = _steps_of(page)
        if steps is None or any(step < probe.first for step in steps):
            self._probes_left = 0
            return False
        # Some servers treat the end of a window as inclusive.
        lowest = min((step for step in steps if step < probe.stop), default=None)
        if lowest is None:
            self._is_in_gap = False
            return True
        self._row_step = floor(lowest)
        self._probes_left -= 1
        return False

    def accepts_refusal(self, window: Window) -> bool:
        if window.is_probe:
            self._probes_left = self._most_probes = 0
            return True
        if window.width <= self.page_size:
            return False
        self._width = self._widest = self.page_size
        return True


def _steps_of(page: Page | list[Any]) -> list[float] | None:
    """Returns the steps of a page's rows; None if one can't be read."""
    try:
        rows = page.rows() if isinstance(page, Page) else page
        steps = [row[STEP] for row in rows]
    except (HistoryDecodeError, KeyError, TypeError):
        return None
    return steps if all(isinstance(step, int | float) and step == step for step in steps) else None


def widest(page_size: int) -> int:
    """Returns the most steps that a window may have.

    Args:
        page_size: Steps of an ordinary window.
    """
    return max(page_size, min(page_size * _WIDEST, _MOST_SAMPLES))


def make_windows(
    option: WindowOption, page_size: int, *, probes: bool = False, first_width: int | None = None
) -> Windows:
    """Makes the windows of a scan.

    Args:
        option: ``"fixed"`` or ``"adaptive"``.
        page_size: Steps of an ordinary window.
        probes: True if adaptive windows may probe gaps, because the source samples down to the allowed rows.
        first_width: Steps of the first adaptive window; None for `page_size`.
    """
    if option == "fixed":
        return _FixedWindows(page_size)
    return _AdaptiveWindows(page_size, probes=probes, first_width=first_width or page_size)
