"""Files of exported histories: downloaded from the addresses that a server gives out, and kept in a cache."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from histscan.common.atomic import atomic_output
from histscan.sources.exported_requests import CutShortError, FileRequests
from histscan.sources.folders import expand_home, home_folder

if TYPE_CHECKING:
    import requests

__all__ = ["FileVersion", "cache_folder", "fetch_file"]

_OK = 200
# Another process may still read an older version of a file.
_OLD_VERSIONS_STAY = 24 * 3600.0


def cache_folder() -> Path:
    """Returns the folder that exported files are kept in.

    Returns:
        ``HISTSCAN_CACHE_DIR``, or else ``histscan`` in the user's folder for caches (``XDG_CACHE_HOME``, ``~/.cache``).
        For a user without a home folder, a temporary folder that is removed when the process ends.
    """
    own = os.environ.get("HISTSCAN_CACHE_DIR")
    if own:
        return expand_home(own)
    users = os.environ.get("XDG_CACHE_HOME", "")
    # The standard has it that a relative path there is to be ignored.
    if os.path.isabs(users):
        return Path(users) / "histscan"
    home = home_folder()
    return _temporary_folder(os.getpid()) if home is None else home / ".cache" / "histscan"


@functools.cache
def _temporary_folder(process: int) -> Path:
    """Makes a folder for this process alone: others could put files of their own into one with a known name."""
    folder = Path(tempfile.mkdtemp(prefix="histscan-"))
    atexit.register(_remove_folder, folder, process)
    return folder


def _remove_folder(folder: Path, process: int) -> None:
    # A forked process still has the exit handlers of its parent.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


class FileVersion:
    """One version of a file, and where the cache has it.

    Args:
        parts: The parts of the file's address.
        headers: Those of an answer that has the file, or part of it.
        size: The file's size in bytes; None if the server does not tell.

    Attributes:
        tag: What the server calls the version; empty if it does not tell: then it could be any.
        size: The file's size.
    """

    def __init__(self, parts: SplitResult, headers: requests.structures.CaseInsensitiveDict[str], size: int | None):
        self.tag = headers.get("ETag") or headers.get("Last-Modified") or ""
        self.size = size
        address = f"{parts.scheme}://{parts.netloc}{parts.path}".encode(errors="surrogatepass")
        self._address = hashlib.sha256(address).hexdigest()[:32]
        self._version = hashlib.sha256(f"{self.tag}\n{size}".encode()).hexdigest()[:16]

    def path_in(self, folder: Path) -> Path:
        """Returns where the version is or will be; the name is made of digits and letters, whatever the address is.

        Args:
            folder: The cache.
        """
        return folder / f"{self._address}-{self._version}.parquet"

    def find_in(self, folder: Path) -> Path | None:
        """Returns the file in the cache, if this very version is there.

        Args:
            folder: The cache.
        """
        path = self.path_in(folder)
        with suppress(FileNotFoundError):
            # One of another size was not written by us.
            if self.tag and self.size is not None and path.stat().st_size == self.size:
                return path
        return None

    def remove_older(self, folder: Path) -> None:
        """Removes what the cache has of versions that nobody reads any longer.

        Args:
            folder: The cache.
        """
        limit = time.time() - _OLD_VERSIONS_STAY
        newest = self.path_in(folder)
        for path in folder.glob(f"{self._address}-*.parquet"):
            with suppress(OSError):
                if path != newest and path.stat().st_mtime < limit:
                    path.unlink()


def fetch_file(file_requests: FileRequests, folder: Path, *, reuse: bool = True) -> Path:
    """Downloads a file, unless the very version that the server has is in the cache.

    Args:
        file_requests: Asks for the file.
        folder: The cache.
        reuse: Whether a file that is in the cache may stay; False downloads it again.

    Returns:
        The file in the cache, complete.

    Raises:
        HistoryRequestError: The file can't be had.
        OSError: The cache can't be written.
    """

    def keep(response: requests.Response) -> Path:
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else None
        version = FileVersion(file_requests.parts, response.headers, size)
        found = version.find_in(folder) if reuse else None
        if found is not None:
            return found
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = version.path_in(folder)
        with atomic_output(path) as output:
            written = sum(output.write(part) for part in file_requests.read(response))
            if size is not None and written != size:
                raise CutShortError
        version.remove_older(folder)
        return path

    return file_requests.get({}, (_OK,), keep)
