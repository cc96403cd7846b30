"""The windows of steps that a scan asks for, one page each.

Fixed windows are those of wandb's classes. Adaptive ones widen where rows are few, and give the same rows, because

* a page's request always allows as many rows as its window has steps, so that a server has no reason to sample;
* what a widened window brought is used only if it is fewer rows than a page may have. Else the same steps are asked
  for again in ordinary windows: should a server have a bound of its own on the rows of an answer, wide windows come no
  nearer to it than fixed ones do.

A run that turns dense without warning cannot bring any number of rows. Windows widen after sparse pages only, and to
`_GROWTH` times the width of those; the widest has the steps of `_WIDEST` ordinary ones, and all that are on their way
have twice that together, however many they are. The first dense answer is dropped, what is on its way behind it called
off, and all that follows is narrow. So a scan never holds more than 2 * `_WIDEST` * `page_size` rows of pages ahead,
and no more than `page_size` where it goes on from.

Where rows end, a probe finds those after the gap, be it 1,000 steps or 10^8: a window of all remaining steps that
allows a few rows only. A server samples its rows down to as many, but never down to none: an empty answer says that the
window is empty, and any other that there is a row at its lowest step. No row is ever taken from a probe's answer.
"""

from __future__ import annotations

from math import floor
from typing import Any, NamedTuple, Protocol

from histscan._core.page import Page
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError
from histscan.paging.options import WindowOption

__all__ = ["Window", "Windows", "make_windows", "widest"]

# In windows of the page size. 1,000 rows in 1,000,000 steps take some 30 requests then, where fixed windows take 1,000.
_WIDEST = 64
_GROWTH = 8

# Rows that a probe allows. Of a million rows sampled down to 100, the lowest step is found with three probes.
_PROBE_ROWS = 100
# A server that samples in some other way is probed no more often in one gap.
_MOST_PROBES = 8

# What GraphQL's Int holds.
_MOST_SAMPLES = 2**31 - 1


class Window(NamedTuple):
    """The steps of one page.

    Attributes:
        first: First step, inclusive.
        stop: End, exclusive; not beyond the scan's.
        width: The steps that there would be if the scan did not end: as many rows are allowed in the answer. Of a
            probe, the rows alone.
    """

    first: int
    stop: int
    width: int

    @property
    def is_probe(self) -> bool:
        """True if there may be more rows in the window than are allowed in the answer."""
        return self.stop - self.first > self.width

    @property
    def next_first(self) -> int:
        """First step of the window after this one; may be beyond the scan's end."""
        return max(self.first + self.width, self.stop)

    @property
    def label(self) -> str:
        """What error messages call it."""
        return f"[{self.first}, {self.stop})"


class Windows(Protocol):
    """Says which window comes next."""

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
        """Whether the next window may be asked for already.

        Args:
            steps_under_way: Steps asked for, of pages that the scan has not come to yet.
        """

    def accepts(self, window: Window, page: Page | list[Any]) -> bool:
        """Whether a page has the rows that fixed windows would have brought; notes how many there are.

        Args:
            window: The page's window.
            page: The page.

        Returns:
            False if the window must be asked for again; it is planned narrower then.
        """

    def accepts_refusal(self, window: Window) -> bool:
        """Whether a server's refusal may be due to the window's width; if so, none is widened again.

        Args:
            window: The window of the request.

        Returns:
            True if the window is to be asked for again, narrower.
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
    """Windows of at least `page_size` steps, of as many as half a page of rows takes, and probes in gaps."""

    def __init__(self, page_size: int, *, probes: bool, first_width: int) -> None:
        self.page_size = page_size
        self._width = first_width
        self._widest = widest(page_size)
        self._most_probes = _MOST_PROBES if probes else 0
        self._probes_left = self._most_probes
        self._is_in_gap = False
        self._row_step: int | None = None  # lowest step behind the gap that is known to have a row

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
            # A window that was planned before they widened says nothing of those that are wide now.
            if not self._is_in_gap and window.width >= self._width:
                self._is_in_gap, self._row_step = True, None
            return True
        steps = int(window.stop - window.first)
        # Half a page: density varies, and an answer of a page or more is thrown away.
        fitting = self.page_size * steps // (2 * rows) if rows else self._widest
        self._width = max(self.page_size, min(fitting, window.width * _GROWTH, self._widest))
        return True

    def _is_empty(self, probe: Window, page: Page | list[Any]) -> bool:
        """Returns True if a probe has found no row; else notes the lowest step that it has found."""
        steps = _steps_of(page)
        if steps is None or any(step < probe.first for step in steps):
            self._probes_left = 0
            return False
        # Some servers take the end of a window as inclusive.
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
    """Returns the most steps that a page may have.

    Args:
        page_size: Steps of an ordinary window.
    """
    return max(page_size, min(page_size * _WIDEST, _MOST_SAMPLES))


def make_windows(
    option: WindowOption, page_size: int, *, probes: bool = False, first_width: int | None = None
) -> Windows:
    """Makes the windows of a scan.

    Args:
        option: Their kind.
        page_size: Steps of an ordinary window.
        probes: Adaptive windows may probe gaps, because the source samples rows down to as many as a window allows.
        first_width: Steps of the first adaptive window; None for `page_size`.
    """
    if option == "fixed":
        return _FixedWindows(page_size)
    return _AdaptiveWindows(page_size, probes=probes, first_width=first_width or page_size)
