"""The files in the cache of exported histories: which there are, which can be trusted, and which are removed.

What is in the cache is read instead of what the server has. So it counts only if this user wrote it, and nobody else
can write to it: links that others planted are neither followed nor written through. The folder is opened and checked
once for each of these functions, which then use the open folder: another one that takes its place is not touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from histscan.common.atomic import atomic_output
from histscan.common.ownership import is_own_file
from histscan.errors import HistoryError

__all__ = [
    "CachedFile",
    "cache_output",
    "cached_files",
    "check_cache",
    "clear_cache",
    "has_cached",
    "keep_within_limit",
    "mark_used",
    "prepare_cache",
    "read_limit",
    "remove_versions",
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


@contextlib.contextmanager
def cache_output(path: Path) -> Iterator[BinaryIO]:
    """Opens a file of a cache for writing; see `atomic_output`. Makes the cache if there is none.

    Args:
        path: The file, which is replaced when the block ends without an exception.

    Yields:
        The open file, which only this user can read.

    Raises:
        HistoryError: Others can write to the folder.
        OSError: The file can't be written.
    """
    prepare_cache(path.parent)
    with _opened(path.parent) as folder, atomic_output(path, private=True, folder=folder) as output:
        yield output


def check_cache(folder: Path) -> None:
    """Checks that only this user can write to a cache.

    Args:
        folder: The cache, which need not exist.

    Raises:
        HistoryError: Others can write to the folder, or made it.
    """
    with suppress(FileNotFoundError, NotADirectoryError), _opened(folder):
        pass


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Opens a cache and checks it.

    Yields:
        The descriptor of the folder, for functions with `dir_fd`.

    Raises:
        HistoryError: Others can write to the folder, or made it.
        FileNotFoundError: It does not exist.
        NotADirectoryError: It is no folder.
    """
    # A link of this user is followed, for a cache on another disk; one that others made is not.
    links = [os.lstat(folder)] if folder.is_symlink() else []
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_folder(folder, os.fstat(descriptor), links)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_folder(folder: Path, found: os.stat_result, links: list[os.stat_result]) -> None:
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
        path: The file.
        size: Its size in bytes; a file of another size was not written by us.
    """
    with suppress(FileNotFoundError, NotADirectoryError), _opened(path.parent) as folder:
        found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        return is_own_file(found) and found.st_size == size
    return False


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
    with suppress(OSError), _opened(path.parent) as folder:
        modified = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
        os.utime(path.name, ns=(time.time_ns(), modified), dir_fd=folder, follow_symlinks=False)


def clear_cache(folder: Path, *, unused_for: float = 0.0) -> list[CachedFile]:
    """Removes files. A process that reads one of them can still read it to its end.

    Args:
        folder: The cache.
        unused_for: Only files that were not used for so many seconds.

    Returns:
        The removed files.
    """
    now = time.time()
    removed = _remove(folder, (file for file in cached_files(folder) if file.used <= now - unused_for))
    # A killed process leaves its incomplete file.
    _remove(folder, (file for file in _entries(folder, _PARTIAL) if file.used <= now - max(_IN_USE, unused_for)))
    return removed


def read_limit(folder: Path) -> int | None:
    """Returns the limit of a cache in bytes; None without one.

    Args:
        folder: The cache.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with _opened(folder) as opened:
            descriptor = os.open(_LIMIT, flags, dir_fd=opened)
    except (HistoryError, OSError):
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
        with suppress(FileNotFoundError, NotADirectoryError), _opened(folder) as opened:
            os.unlink(_LIMIT, dir_fd=opened)
        return
    with cache_output(folder / _LIMIT) as output:
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
    return _remove(folder, chosen)


def _entries(folder: Path, name: re.Pattern[str]) -> Iterator[CachedFile]:
    with suppress(FileNotFoundError, NotADirectoryError), _opened(folder) as opened:
        for file in os.listdir(opened):
            if name.fullmatch(file):
                with suppress(FileNotFoundError):
                    found = os.stat(file, dir_fd=opened, follow_symlinks=False)
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    yield CachedFile(folder / file, found.st_size, max(found.st_atime, found.st_mtime))


def _remove(folder: Path, files: Iterable[CachedFile]) -> list[CachedFile]:
    removed = []
    with suppress(FileNotFoundError, NotADirectoryError), _opened(folder) as opened:
        for file in files:
            with suppress(OSError):
                os.unlink(file.path.name, dir_fd=opened)
                removed.append(file)
    return removed


def remove_versions(folder: Path, names: re.Pattern[str], newest: str, limit: float) -> None:
    """Removes older versions of a file.

    Args:
        folder: The cache.
        names: The names of all versions.
        newest: The name of the one that stays.
        limit: Only versions that were written before this time, in seconds since 1970.
    """
    with suppress(OSError), _opened(folder) as opened:
        for file in os.listdir(opened):
            if file != newest and names.fullmatch(file):
                with suppress(OSError):
                    if os.stat(file, dir_fd=opened, follow_symlinks=False).st_mtime < limit:
                        os.unlink(file, dir_fd=opened)
