"""Shows the progress of reading many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from histscan.many.options import RunsProgress
from histscan.paging.progress_bar import ProgressBar

__all__ = ["Watch", "open_progress"]

Watch = Callable[[RunsProgress], object]


@contextmanager
def open_progress(progress: bool | Watch, total: int) -> Iterator[Watch | None]:
    """Opens a progress bar, if the caller wants one.

    Args:
        progress: True for a bar on a terminal or in a notebook, or a function that is called instead.
        total: The number of runs.

    Yields:
        The function to call after each run; None for no progress.
    """
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    with ProgressBar(total, "runs") as bar:
        yield lambda found: bar.update(found.runs, found.rows)
