"""``.wandb`` files on disk: finding them, and reading them window by window."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from histscan.errors import HistoryError

__all__ = ["WINDOW_SIZE", "find_log", "read_windows"]

WINDOW_SIZE = 32 * 32_768
"""Bytes read at a time: whole blocks of the log, small enough to stay in the processor's cache while decoded."""


def find_log(path: str | os.PathLike[str]) -> Path:
    """Finds the log that a path means.

    Args:
        path: A ``.wandb`` file, or the folder of one run (``wandb/offline-run-20260131_120000-abc``).

    Returns:
        The file's path.

    Raises:
        FileNotFoundError: There is nothing at the path, or no log in the folder.
        HistoryError: The folder holds several runs.
    """
    given = Path(path)
    if not given.is_dir():
        if not given.exists():
            raise FileNotFoundError(f"there is no file or folder {str(given)!r}")
        return given
    logs = sorted(given.glob("*.wandb"))
    if not logs:
        logs = sorted(log for log in given.glob("*run-*/*.wandb") if not log.parent.is_symlink())
    if not logs:
        raise FileNotFoundError(f"the folder {str(given)!r} holds no .wandb file, and no run's folder that does")
    if len(logs) > 1:
        names = ", ".join(str(log.relative_to(given)) for log in logs[:5])
        more = f" and {len(logs) - 5} more" if len(logs) > 5 else ""
        raise HistoryError(f"the folder {str(given)!r} holds {len(logs)} runs ({names}{more}): name one of them")
    return logs[0]


def read_windows(
    path: Path, *, window_size: int = WINDOW_SIZE, limit: int | None = None
) -> Iterator[tuple[bytes, bool]]:
    """Reads a file from its beginning, window by window.

    The file is never mapped: one that is cut short while it is read gives an error, not a signal.

    Args:
        path: The file; it need only be readable.
        window_size: Bytes in a window, a multiple of 32 KiB.
        limit: Bytes to read in all; None for all there are.

    Yields:
        The window's bytes, and whether it is the last: the only one that is shorter, perhaps empty.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        while True:
            window = file.read(window_size if limit is None else min(window_size, limit - file.tell()))
            is_last = len(window) < window_size
            yield window, is_last
            if is_last:
                return
