"""Signed URLs of files, like those of an object store: they expire, and need no API key.

A URL contains no path. It contains the random name of a file that was linked before: clients can neither guess names
nor traverse paths.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, quote, urlencode

from histscan.server.safe_files import open_found
from histscan.server.served_run import FileVersion

__all__ = ["PREFIX", "FileLinks", "LinkError", "LinkedFile"]

PREFIX = "/files/"
LIFETIME = 3600.0
"""Seconds until a URL expires."""

_PARQUET = "application/vnd.apache.parquet"


class LinkError(Exception):
    """A URL is unknown, forged or expired.

    Args:
        reason: What is wrong with it.
        status: The HTTP status of the response.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class LinkedFile:
    """A file that has a URL.

    Attributes:
        path: The file, without links in its path below the folder.
        root: The folder that must contain the file whenever it is sent.
        inode: The file's inode number: a file that takes its place is not sent.
        media_type: The media type.
        name: The file name for downloads; None for an exported file, which clients name themselves.
    """

    path: Path
    root: Path
    inode: int
    media_type: str = _PARQUET
    name: str | None = None

    @classmethod
    def exported(cls, path: Path) -> LinkedFile:
        """Describes an exported file.

        Args:
            path: The file.

        Returns:
            The description.

        Raises:
            OSError: The file is a link, or does not exist.
        """
        return cls(path, path.parent, FileVersion.of(path).inodes[0])

    def open(self) -> BinaryIO:
        """Opens the file.

        Returns:
            The open file.

        Raises:
            OSError: The file no longer exists, or another one took its place.
        """
        return open_found(self.path, self.root, self.inode)

    def headers(self) -> dict[str, str]:
        """Returns the headers of the file. They make a browser save it and never render it: it may be a web page."""
        headers = {"Content-Type": self.media_type}
        if self.name is not None:
            saved = quote(self.name.rpartition("/")[2], safe="")
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{saved}"
            headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return headers


class FileLinks:
    """Makes signed URLs of files, and finds the file of a URL. Thread-safe.

    Args:
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._files: dict[str, LinkedFile] = {}
        self._names: dict[LinkedFile, str] = {}
        self._lock = threading.Lock()

    def link(self, file: LinkedFile | None) -> str:
        """Makes a signed URL of a file.

        Args:
            file: The file; None for a URL that answers 404.

        Returns:
            Path and query of the URL.
        """
        with self._lock:
            name = "missing" if file is None else self._names.get(file)
            if file is not None and name is None:
                suffix = ".parquet" if file.media_type == _PARQUET else ""
                name = self._names[file] = f"{secrets.token_hex(16)}{suffix}"
                self._files[name] = file
        expires = str(int(self._clock() + LIFETIME))
        return f"{PREFIX}{name}?{urlencode({'expires': expires, 'signature': self._sign(str(name), expires)})}"

    def find(self, path: str, query: str) -> LinkedFile:
        """Finds the file of a URL.

        Args:
            path: The URL's path.
            query: The URL's query.

        Returns:
            The file.

        Raises:
            LinkError: The URL is unknown, forged or expired.
        """
        name = path.removeprefix(PREFIX)
        fields = parse_qs(query)
        expires, signature = (fields.get(field, [""])[-1] for field in ("expires", "signature"))
        if not hmac.compare_digest(signature.encode(), self._sign(name, expires).encode()):
            raise LinkError("the URL is not signed by this server process: request files or parquetHistory again", 403)
        if int(expires) < self._clock():
            raise LinkError("the URL has expired: request the run's files or parquetHistory again", 403)
        with self._lock:
            file = self._files.get(name)
        if file is None:
            raise LinkError("there is no such file", 404)
        return file

    def _sign(self, name: str, expires: str) -> str:
        message = f"{name}\n{expires}".encode(errors="surrogateescape")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
