"""The windows of steps that a scan asks for, one page each.

Fixed windows are those of wandb's classes. Adaptive ones widen where rows are few, and give the same rows, because

* a window's request always allows as many rows as the window has steps, so that a server has no reason to sample;
* what a widened window brought is used only if it is fewer rows than a page may have. Else the same steps are asked
  for again in ordinary windows: should a server have a bound of its own on the rows of an answer, wide windows come no
  nearer to it than fixed ones do.

A run that turns dense without warning cannot bring any number of rows. Windows widen after sparse pages only, and to
`_GROWTH` times the width of those; the widest has the steps of `_WIDEST` ordinary ones, and all that are on their way
have twice that together, however many they are. The first dense answer is dropped, what is on its way behind it called
off, and all that follows is narrow. So a scan never holds more than 2 * `_WIDEST` * `page_size` rows of pages ahead,
and no more than `page_size` where it goes on from.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from histscan.paging.options import WindowOption

__all__ = ["Window", "Windows", "make_windows"]

# In windows of the page size. 1,000 rows in 1,000,000 steps take some 30 requests then, where fixed windows take 1,000.
_WIDEST = 64
_GROWTH = 8

# What GraphQL's Int holds.
_MOST_SAMPLES = 2**31 - 1


class Window(NamedTuple):
    """The steps of one page.

    Attributes:
        first: First step, inclusive.
        stop: End, exclusive; not beyond the scan's.
        width: The steps that there would be if the scan did not end: as many rows are allowed in the answer.
    """

    first: int
    stop: int
    width: int

    @property
    def next_first(self) -> int:
        """First step of the window after this one; may be beyond the scan's end."""
        return self.first + self.width

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

    def accepts(self, window: Window, rows: int) -> bool:
        """Whether a page is what fixed windows would have brought; notes how many rows there are.

        Args:
            window: The page's window.
            rows: The rows it has.

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

    def accepts(self, window: Window, rows: int) -> bool:  # noqa: ARG002
        return True

    def accepts_refusal(self, window: Window) -> bool:  # noqa: ARG002
        return False


class _AdaptiveWindows:
    """Windows of at least `page_size` steps, and of as many as half a page of rows takes."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self._width = page_size
        self._widest = max(page_size, min(page_size * _WIDEST, _MOST_SAMPLES))

    def plan(self, first: int, stop_step: int) -> Window:
        return Window(first, min(first + self._width, stop_step), self._width)

    def has_room(self, steps_under_way: int) -> bool:
        return steps_under_way + self._width <= 2 * self.page_size * _WIDEST or steps_under_way == 0

    def accepts(self, window: Window, rows: int) -> bool:
        if window.width > self.page_size and rows >= self.page_size:
            self._width = self.page_size
            return False
        steps = int(window.stop - window.first)
        # Half a page: density varies, and an answer of a page or more is thrown away.
        fitting = self.page_size * steps // (2 * rows) if rows else self._widest
        self._width = max(self.page_size, min(fitting, window.width * _GROWTH, self._widest))
        return True

    def accepts_refusal(self, window: Window) -> bool:
        if window.width <= self.page_size:
            return False
        self._width = self._widest = self.page_size
        return True


def make_windows(option: WindowOption, page_size: int) -> Windows:
    """Makes the windows of a scan.

    Args:
        option: Their kind.
        page_size: Steps of an ordinary window.
    """
    return _AdaptiveWindows(page_size) if option == "adaptive" else _FixedWindows(page_size)
