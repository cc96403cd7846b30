"""Marks temporary files and folders as in use, so that those of killed processes can be told apart and removed.

The mark is a lock (``flock``), which the system releases with its process. It works across containers, where numbers of
processes do not. Forked processes share the lock: it is released with the last of them.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["is_own_file", "mark_in_use", "remove_abandoned"]

# A process may have created a file without having marked it yet; and on a file system without locks, none is marked.
_LEAST_AGE = 3_600.0


def mark_in_use(descriptor: int) -> None:
    """Marks a file or folder as in use until the descriptor is closed, if its file system has locks.

    Args:
        descriptor: The open file or folder.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def is_own_file(found: os.stat_result) -> bool:
    """Returns True if this user wrote a file, and nobody else can write to it.

    Args:
        found: The status of the file itself, not of a link's target.
    """
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and found.st_nlink == 1
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def remove_abandoned(folder: Path, name: re.Pattern[str], remove: Callable[[Path], object]) -> None:
    """Removes what killed processes have left in a folder.

    Only what belongs to this user, was not changed within the last hour, and is not marked as in use. Links stay.

    Args:
        folder: The folder.
        name: The names that histscan gives to what it removes.
        remove: Removes a path. Its `OSError` is ignored.
    """
    latest = time.time() - _LEAST_AGE
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if name.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path), latest, remove)


def _remove_if_abandoned(path: Path, latest: float, remove: Callable[[Path], object]) -> None:
    # Not blocked by a pipe of this name; a link fails.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        is_ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        if is_ours and found.st_mtime < latest:
            # Fails if another process has it in use.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
    finally:
        os.close(descriptor)
