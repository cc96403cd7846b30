"""Opens files that were found before, and no others: links that took their place are not followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_found"]

_NOFOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_found(path: Path, root: Path, inode: int) -> BinaryIO:
    """Opens a file below a folder, step by step, so that no part of the path can be swapped for a link meanwhile.

    Args:
        path: The file, without links in its path below the folder.
        root: The folder.
        inode: The inode number that the file had when it was found.

    Returns:
        The open file, unbuffered.

    Raises:
        OSError: A part of the path is a link now, or the file is another one, or can't be read.
    """
    *folders, name = path.relative_to(root).parts
    folder = os.open(root, _NOFOLLOW | os.O_DIRECTORY)
    try:
        for part in folders:
            inner = os.open(part, _NOFOLLOW | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A pipe would block without O_NONBLOCK, which does nothing to regular files.
        descriptor = os.open(name, _NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    file = os.fdopen(descriptor, "rb", buffering=0)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_ino != inode:
        file.close()
        raise FileNotFoundError(f"{path} was replaced after it was found")
    return file
