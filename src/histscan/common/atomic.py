"""Files that appear whole or not at all.

What is written goes to a temporary file in the folder of the goal and takes the goal's place once everything is on the
disk. An error, Ctrl-C or a full disk on the way leaves no half file, and a file that was there before as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_output", "is_replaceable"]

BUFFER_SIZE = 1 << 20
# What only writing runs into. The system's error for it does not say which file was written.
_OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_replaceable(path: Path) -> bool:
    """Tells whether a path can be given a new file: nothing is there yet, or a regular file.

    Args:
        path: The goal. Links are followed.

    Returns:
        False for devices, pipes and sockets, which are written to where they are.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


@contextlib.contextmanager
def atomic_output(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its place only when the block ends without an exception.

    Args:
        path: Where the file shall be. A file that is there is replaced, and its permissions are kept; of a link, the
            file it points to. A device or pipe (``/dev/stdout``) cannot be replaced and is written to directly.

    Yields:
        The open binary file.

    Raises:
        OSError: The file cannot be written; the error names `path`, not the temporary file.
    """
    try:
        goal = Path(os.path.realpath(path))
        with _replacement(goal, path) if is_replaceable(goal) else goal.open("wb", buffering=BUFFER_SIZE) as output:
            yield output
    except OSError as error:
        if error.errno in _OUT_OF_SPACE and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def _replacement(goal: Path, path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `goal` that takes its place; errors speak of `path`, as the caller knows it."""
    temporary = goal.with_name(f".{goal.name[:40]}.{secrets.token_hex(6)}.partial")
    try:
        with _create(temporary, goal, path) as output:
            yield output
            output.flush()
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(output.fileno(), stat.S_IMODE(goal.stat().st_mode))
            os.fsync(output.fileno())
        os.replace(temporary, goal)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(goal.parent)


def _create(temporary: Path, goal: Path, path: Path) -> BinaryIO:
    """Opens the temporary file, which nobody else may have made."""
    if goal.exists() and not os.access(goal, os.W_OK):
        # Replacing needs only a writable folder; still, a file that is read-only is meant to stay as it is.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        return temporary.open("xb", buffering=BUFFER_SIZE)
    except OSError as error:
        error.filename = str(path)
        raise


def _sync_folder(folder: Path) -> None:
    """Has the folder's entry for a new file reach the disk, where the file system knows how."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
