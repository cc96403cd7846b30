"""Atomic files, which appear complete or not at all.

Data are written to a temporary file in the folder of the destination, which it replaces once all data are on disk.
After an error, Ctrl-C or a full disk, no partial file remains, and an existing file is unchanged.
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
# Errors that only occur while writing, where the system's error has no file name.
_OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_replaceable(path: Path) -> bool:
    """Returns True if a path can be replaced by a new file: it does not exist, or is a regular file.

    Args:
        path: The destination. Symbolic links are followed.

    Returns:
        False for devices, pipes and sockets, which must be written to directly.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


@contextlib.contextmanager
def atomic_output(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for writing, which appears at its path only when the block ends without an exception.

    Args:
        path: The destination. An existing file is replaced, and its permissions are kept; for a symbolic link, the
            file it points to. A device or pipe (``/dev/stdout``) can't be replaced and is written to directly.
        durable: False saves some milliseconds, for files that can be made again: after a power failure, which is worse
            than a killed process, the file may be shorter than it was.

    Yields:
        The open binary file.

    Raises:
        OSError: The file can't be written; the error names `path`, not the temporary file.
    """
    try:
        goal = Path(os.path.realpath(path))
        with (
            _replacement(goal, path, durable)
            if is_replaceable(goal)
            else goal.open("wb", buffering=BUFFER_SIZE) as output
        ):
            yield output
    except OSError as error:
        if error.errno in _OUT_OF_SPACE and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def _replacement(goal: Path, path: Path, durable: bool) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `goal` that replaces it at the end. Errors name `path`, which the caller passed."""
    temporary = goal.with_name(f".{goal.name[:40]}.{secrets.token_hex(6)}.partial")
    try:
        with _create(temporary, goal, path) as output:
            yield output
            output.flush()
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(output.fileno(), stat.S_IMODE(goal.stat().st_mode))
            if durable:
                os.fsync(output.fileno())
        os.replace(temporary, goal)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(goal.parent)


def _create(temporary: Path, goal: Path, path: Path) -> BinaryIO:
    """Creates the temporary file, which must not exist yet."""
    if goal.exists() and not os.access(goal, os.W_OK):
        # Replacing a file needs only a writable folder, but a read-only file must not be replaced.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        return temporary.open("xb", buffering=BUFFER_SIZE)
    except OSError as error:
        error.filename = str(path)
        raise


def _sync_folder(folder: Path) -> None:
    """Flushes a folder to disk, with its entry for the new file, if the file system supports that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
