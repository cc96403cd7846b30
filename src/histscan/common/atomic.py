"""Atomic files, which appear complete or not at all.

Data are written to a temporary file in the folder of the destination, which it replaces once all data are on disk.
After an error, Ctrl-C or a full disk, no partial file remains, and an existing file is unchanged. Partial files of
processes that were killed are removed when a later process writes to the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from histscan.common.ownership import mark_in_use, remove_abandoned

__all__ = ["atomic_output", "is_replaceable"]

BUFFER_SIZE = 1 << 20
_PARTIAL = re.compile(r"\..{1,40}\.[0-9a-f]{12}\.partial", re.DOTALL)
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
def atomic_output(
    path: Path, *, durable: bool = True, private: bool = False, folder: int | None = None
) -> Iterator[BinaryIO]:
    """Opens a file for writing, which appears at its path only when the block ends without an exception.

    Args:
        path: The destination. An existing file is replaced, and its permissions are kept; for a symbolic link, the
            file it points to. A device or pipe (``/dev/stdout``) can't be replaced and is written to directly.
        durable: False saves some milliseconds, for files that can be made again: after a power failure, which is worse
            than a killed process, the file may be shorter than it was.
        private: True for a file that only this user can read; whatever is at its path is replaced, also a link.
        folder: The descriptor of the file's folder, with `private`: another folder that takes its place is not used.

    Yields:
        The open binary file.

    Raises:
        OSError: The file can't be written; the error names `path`, not the temporary file.
    """
    try:
        goal = path if private else Path(os.path.realpath(path))
        with (
            _replacement(goal, path, durable, private, folder)
            if private or is_replaceable(goal)
            else goal.open("wb", buffering=BUFFER_SIZE) as output
        ):
            yield output
    except OSError as error:
        if error.errno in _OUT_OF_SPACE and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def _replacement(goal: Path, path: Path, durable: bool, private: bool, folder: int | None) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `goal` that replaces it at the end. Errors name `path`, which the caller passed."""
    _remove_abandoned_once(goal.parent, os.getpid())
    temporary = goal.with_name(f".{goal.name[:40]}.{secrets.token_hex(6)}.partial")
    output = _create(temporary, goal, path, private, folder)
    found: Path | str = temporary if folder is None else temporary.name
    try:
        mark_in_use(output.fileno())
        if private:
            os.fchmod(output.fileno(), 0o600)
        yield output
        output.flush()
        if not private:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(output.fileno(), stat.S_IMODE(goal.stat().st_mode))
        if durable:
            os.fsync(output.fileno())
        output.close()
        os.replace(found, goal if folder is None else goal.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        # Closing writes what is buffered, and may fail again: the first error is the one to report.
        with contextlib.suppress(OSError):
            output.close()
        with contextlib.suppress(OSError):
            os.unlink(found, dir_fd=folder)
        raise
    if durable:
        _sync_folder(goal.parent, folder)


@functools.lru_cache(maxsize=256)
def _remove_abandoned_once(folder: Path, process: int) -> None:  # noqa: ARG001 - once in each process
    remove_abandoned(folder, _PARTIAL, os.unlink)


def _create(temporary: Path, goal: Path, path: Path, private: bool, folder: int | None) -> BinaryIO:
    """Creates the temporary file, which must not exist yet."""
    if not private and goal.exists() and not os.access(goal, os.W_OK):
        # Replacing a file needs only a writable folder, but a read-only file must not be replaced.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        # Exclusive: a link at this path is not followed.
        if folder is None:
            return temporary.open("xb", buffering=BUFFER_SIZE)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.fdopen(os.open(temporary.name, flags, 0o600, dir_fd=folder), "wb", buffering=BUFFER_SIZE)
    except OSError as error:
        error.filename = str(path)
        raise


def _sync_folder(path: Path, folder: int | None) -> None:
    """Flushes a folder to disk, with its entry for the new file, if the file system supports that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY) if folder is None else os.dup(folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
