"""Shows the progress of reading many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from histscan.many.options import RunsProgress
from histscan.paging.progress_bar import ProgressBar
from histscan.sources.traffic import RECEIVED

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
    if progress is False:
        yield None
        return
    before = RECEIVED.total

    def with_received(found: RunsProgress) -> RunsProgress:
        return replace(found, bytes=found.bytes or RECEIVED.total - before)

    if progress is not True:
        watch = progress
        yield lambda found: watch(with_received(found))
        return
    with ProgressBar(total, "runs") as bar:

        def show(found: RunsProgress) -> None:
            bar.update(found.runs, found.rows, with_received(found).bytes)

        yield show
