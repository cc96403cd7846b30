"""Files of exported histories: downloads from the addresses that a server returns, and their cache."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from histscan.common.temporary import TemporaryFolder
from histscan.sources.exported_requests import CutShortError, FileRequests
from histscan.sources.file_cache import (
    cache_output,
    check_cache,
    has_cached,
    keep_within_limit,
    mark_used,
    remove_versions,
)
from histscan.sources.folders import expand_home, home_folder

if TYPE_CHECKING:
    import requests

__all__ = ["RemoteVersion", "cache_folder", "fetch_file"]

_OK = 200
# Another process may still read an older version of a file.
_OLD_VERSIONS_STAY = 24 * 3600.0


def cache_folder() -> Path:
    """Returns the cache folder of exported files.

    Returns:
        ``HISTSCAN_CACHE_DIR``, else ``histscan`` in the user's cache folder (``XDG_CACHE_HOME``, ``~/.cache``). For a
        user without a home folder, a temporary folder that is removed when the process ends.
    """
    own = os.environ.get("HISTSCAN_CACHE_DIR")
    if own:
        return expand_home(own)
    users = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification requires relative paths to be ignored.
    if os.path.isabs(users):
        return Path(users) / "histscan"
    home = home_folder()
    return _temporary_folder(os.getpid()).path if home is None else home / ".cache" / "histscan"


@functools.cache
def _temporary_folder(process: int) -> TemporaryFolder:  # noqa: ARG001 - a folder for each process
    """Makes a private folder for this process: other users could put files into one with a predictable name."""
    return TemporaryFolder()


class RemoteVersion:
    """One version of a file on a server, and its path in the cache.

    Args:
        parts: The parts of the file's address.
        headers: The headers of an answer with the file, or part of it.
        size: The file's size in bytes; None if unknown.

    Attributes:
        tag: The server's name for the version; empty if it has none, and versions can't be told apart.
        size: The file's size in bytes; None if unknown.
    """

    def __init__(self, parts: SplitResult, headers: requests.structures.CaseInsensitiveDict[str], size: int | None):
        self.tag = headers.get("ETag") or headers.get("Last-Modified") or ""
        self.size = size
        address = f"{parts.scheme}://{parts.netloc}{parts.path}".encode(errors="surrogatepass")
        self._address = hashlib.sha256(address).hexdigest()[:32]
        self._version = hashlib.sha256(f"{self.tag}\n{size}".encode()).hexdigest()[:16]

    def path_in(self, folder: Path) -> Path:
        """Returns the version's path in the cache. The name is a hash, so that no address can choose a path.

        Args:
            folder: The cache.
        """
        return folder / f"{self._address}-{self._version}.parquet"

    def find_in(self, folder: Path) -> Path | None:
        """Returns the file in the cache; None unless exactly this version is there.

        Args:
            folder: The cache.
        """
        path = self.path_in(folder)
        if self.tag and self.size is not None and has_cached(path, self.size):
            mark_used(path)
            return path
        return None

    def remove_older(self, folder: Path) -> None:
        """Removes other versions of the file from the cache, once they are too old to be in use.

        Args:
            folder: The cache.
        """
        limit = time.time() - _OLD_VERSIONS_STAY
        versions = re.compile(rf"{self._address}-[0-9a-f]{{16}}\.parquet")
        remove_versions(folder, versions, self.path_in(folder).name, limit)


def fetch_file(file_requests: FileRequests, folder: Path, *, reuse: bool = True) -> Path:
    """Downloads a file, unless the server's version of it is in the cache.

    Args:
        file_requests: Requests the file.
        folder: The cache.
        reuse: True to use a cached file; False to download it again.

    Returns:
        The file in the cache, complete.

    Raises:
        HistoryError: Others can write to the cache.
        HistoryRequestError: The file can't be downloaded.
        OSError: The cache can't be written.
    """
    check_cache(folder)

    def keep(response: requests.Response) -> Path:
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else None
        file_requests.check_size(size or 0)
        version = RemoteVersion(file_requests.parts, response.headers, size)
        found = version.find_in(folder) if reuse else None
        if found is not None:
            return found
        path = version.path_in(folder)
        with cache_output(path) as output:
            written = sum(output.write(part) for part in file_requests.read(response))
            if size is not None and written != size:
                raise CutShortError
        version.remove_older(folder)
        keep_within_limit(folder)
        return path

    return file_requests.get({}, (_OK,), keep)
