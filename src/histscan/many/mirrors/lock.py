"""Lets one process at a time write to a mirror."""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from histscan.errors import MirrorWarning
from histscan.many.mirrors.names import LOCK_FILE

__all__ = ["locked"]

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Locks a mirror; waits while another process or thread has it locked.

    The system releases the lock if the process is killed.

    Args:
        folder: The mirror.

    Yields:
        True if the mirror is locked; False if its file system has no locks.

    Raises:
        OSError: The lock file can't be created.

    Warns:
        MirrorWarning: Another process is writing to the mirror.
    """
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield _lock(descriptor, folder)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        warnings.warn(
            f"another process is writing to the mirror {str(folder)!r}: waiting until it ends",
            MirrorWarning,
            stacklevel=6,
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True
