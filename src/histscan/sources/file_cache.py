"""The files in the cache of exported histories: which there are, which can be trusted, and which are removed.

What is in the cache is read instead of what the server has. So it counts only if this user wrote it, and nobody else
can write to it: links that others planted are neither followed nor written through.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from histscan.common.atomic import atomic_output
from histscan.errors import HistoryError

__all__ = [
    "CachedFile",
    "cached_files",
    "check_cache",
    "clear_cache",
    "has_cached",
    "keep_within_limit",
    "mark_used",
    "prepare_cache",
    "read_limit",
    "write_limit",
]

# Only files of these names are counted and removed: HISTSCAN_CACHE_DIR may be a folder with other files.
_CACHED = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\.parquet")
_PARTIAL = re.compile(r"\.[0-9a-f]{32}-[0-9a-f]{7}\.[0-9a-f]{12}\.partial")
_LIMIT = "histscan-cache-limit"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Another process may be reading a file that was used within this time, or writing one that is not complete.
_IN_USE = 3_600.0


class CachedFile(NamedTuple):
    """A file in the cache.

    Attributes:
        path: The file.
        size: Its size in bytes.
        used: When it was last used, in seconds since 1970.
    """

    path: Path
    size: int
    used: float


def prepare_cache(folder: Path) -> None:
    """Makes a cache if there is none, and checks it.

    Args:
        folder: The cache.

    Raises:
        HistoryError: Others can write to the folder.
        OSError: The folder can't be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_cache(folder)


def check_cache(folder: Path) -> None:
    """Checks that only this user can write to a cache.

    Args:
        folder: The cache, which need not exist.

    Raises:
        HistoryError: Others can write to the folder, or made it.
    """
    try:
        # A link of this user is followed, for a cache on another disk; one that others made is not.
        links = [os.lstat(folder)] if folder.is_symlink() else []
        found = os.stat(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    if any(status.st_uid != os.geteuid() for status in (*links, found)):
        raise HistoryError(
            f"the cache folder {str(folder)!r} belongs to another user: set HISTSCAN_CACHE_DIR to a folder of your own"
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise HistoryError(
            f"other users can write to the cache folder {str(folder)!r}: run `chmod go-w` on it, or set "
            "HISTSCAN_CACHE_DIR to another folder"
        )


def has_cached(path: Path, size: int) -> bool:
    """Returns True if a file is in the cache that this user wrote, and that nobody else can write to.

    Args:
        path: The file, in a cache that was checked.
        size: Its size in bytes; a file of another size was not written by us.
    """
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and found.st_nlink == 1
        and not found.st_mode & _WRITABLE_BY_OTHERS
        and found.st_size == size
    )


def cached_files(folder: Path) -> list[CachedFile]:
    """Lists the files of a cache.

    Args:
        folder: The cache, which need not exist.

    Returns:
        The files, those that were not used for the longest time first.
    """
    return sorted(_entries(folder, _CACHED), key=lambda file: file.used)


def mark_used(path: Path) -> None:
    """Notes that a file is used now: the time of access, which many file systems do not update when files are read.

    Args:
        path: The file.
    """
    with suppress(OSError):
        modified = os.lstat(path).st_mtime_ns
        os.utime(path, ns=(time.time_ns(), modified), follow_symlinks=False)


def clear_cache(folder: Path, *, unused_for: float = 0.0) -> list[CachedFile]:
    """Removes files. A process that reads one of them can still read it to its end.

    Args:
        folder: The cache.
        unused_for: Only files that were not used for so many seconds.

    Returns:
        The removed files.
    """
    now = time.time()
    removed = list(_remove(file for file in cached_files(folder) if file.used <= now - unused_for))
    # A killed process leaves its incomplete file.
    list(_remove(file for file in _entries(folder, _PARTIAL) if file.used <= now - max(_IN_USE, unused_for)))
    return removed


def read_limit(folder: Path) -> int | None:
    """Returns the limit of a cache in bytes; None without one.

    Args:
        folder: The cache.
    """
    try:
        descriptor = os.open(folder / _LIMIT, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return int(os.read(descriptor, 32))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def write_limit(folder: Path, limit: int | None) -> None:
    """Sets the limit of a cache.

    Args:
        folder: The cache, which is made if it does not exist.
        limit: The limit in bytes; None to remove it.

    Raises:
        HistoryError: Others can write to the folder.
        OSError: The folder can't be written.
    """
    if limit is None:
        (folder / _LIMIT).unlink(missing_ok=True)
        return
    prepare_cache(folder)
    with atomic_output(folder / _LIMIT, private=True) as output:
        output.write(f"{limit}\n".encode())


def keep_within_limit(folder: Path) -> list[CachedFile]:
    """Removes the files that were not used for the longest time, until the cache is within its limit.

    Files that were used within the last hour stay: a history of several files is read from all of them.

    Args:
        folder: The cache.

    Returns:
        The removed files.
    """
    limit = read_limit(folder)
    if limit is None:
        return []
    files = cached_files(folder)
    excess = sum(file.size for file in files) - limit
    oldest = time.time() - _IN_USE
    chosen = []
    for file in files:
        if excess <= 0 or file.used > oldest:
            break
        chosen.append(file)
        excess -= file.size
    return list(_remove(chosen))


def _entries(folder: Path, name: re.Pattern[str]) -> Iterator[CachedFile]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield CachedFile(Path(entry.path), found.st_size, max(found.st_atime, found.st_mtime))


def _remove(files: Iterable[CachedFile]) -> Iterator[CachedFile]:
    for file in files:
        with suppress(OSError):
            file.path.unlink()
            yield file
