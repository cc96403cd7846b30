"""Signed addresses of files, as a server of stored objects gives them out: they work for a while, and without a key.

An address holds no path. It names a file that was linked before, so that there is nothing to be guessed or traversed.
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
from urllib.parse import parse_qs, quote, urlencode

__all__ = ["PREFIX", "FileLinks", "LinkError", "LinkedFile"]

PREFIX = "/files/"
LIFETIME = 3600.0
"""Seconds that an address works for."""

_PARQUET = "application/vnd.apache.parquet"


class LinkError(Exception):
    """An address is unknown, forged or out of date.

    Args:
        reason: What is wrong with it.
        status: The HTTP status to answer.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class LinkedFile:
    """A file that has an address.

    Attributes:
        path: The file.
        root: The folder that it must lie in whenever it is sent; None if nobody else writes where it is.
        media_type: Its type.
        name: What to call it where it is saved; None for an exported file, which clients name themselves.
    """

    path: Path
    root: Path | None = None
    media_type: str = _PARQUET
    name: str | None = None

    def locate(self) -> Path:
        """Finds the file where it is now.

        Returns:
            The path without links on the way.

        Raises:
            LinkError: It is no longer in its folder.
            OSError: It is gone.
        """
        path = self.path.resolve(strict=True)
        if self.root is not None and not (path.is_relative_to(self.root) and path.is_file()):
            raise LinkError("the file is no longer in the run's folder", 404)
        return path

    def headers(self) -> dict[str, str]:
        """The headers that describe the file. A browser saves it and shows nothing of it: it may be a web page."""
        headers = {"Content-Type": self.media_type}
        if self.name is not None:
            saved = quote(self.name.rpartition("/")[2], safe="")
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{saved}"
            headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return headers


class FileLinks:
    """Gives files addresses, and finds them again.

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
        """Gives a file an address.

        Args:
            file: The file; None for an address at which there is none.

        Returns:
            Path and query of the address.
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
        """Finds the file of an address.

        Args:
            path: The address's path.
            query: Its query.

        Returns:
            The file.

        Raises:
            LinkError: The address does not work.
        """
        name = path.removeprefix(PREFIX)
        fields = parse_qs(query)
        expires, signature = (fields.get(field, [""])[-1] for field in ("expires", "signature"))
        if not hmac.compare_digest(signature.encode(), self._sign(name, expires).encode()):
            raise LinkError("the address is not signed by this server", 403)
        if int(expires) < self._clock():
            raise LinkError("the address has expired: ask for the run's files or parquetHistory again", 403)
        with self._lock:
            file = self._files.get(name)
        if file is None:
            raise LinkError("there is no such file", 404)
        return file

    def _sign(self, name: str, expires: str) -> str:
        message = f"{name}\n{expires}".encode(errors="surrogateescape")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
