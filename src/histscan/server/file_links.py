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
from pathlib import Path
from urllib.parse import parse_qs, urlencode

__all__ = ["PREFIX", "FileLinks", "LinkError"]

PREFIX = "/files/"
LIFETIME = 3600.0
"""Seconds that an address works for."""


class LinkError(Exception):
    """An address is unknown, forged or out of date.

    Args:
        reason: What is wrong with it.
        status: The HTTP status to answer.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class FileLinks:
    """Gives files addresses, and finds them again.

    Args:
        clock: Tells the time in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock
        self._files: dict[str, Path] = {}
        self._names: dict[Path, str] = {}
        self._lock = threading.Lock()

    def link(self, path: Path) -> str:
        """Gives a file an address.

        Args:
            path: The file.

        Returns:
            Path and query of the address.
        """
        with self._lock:
            name = self._names.get(path)
            if name is None:
                name = self._names[path] = f"{secrets.token_hex(16)}.parquet"
                self._files[name] = path
        expires = str(int(self._clock() + LIFETIME))
        return f"{PREFIX}{name}?{urlencode({'expires': expires, 'signature': self._sign(name, expires)})}"

    def find(self, path: str, query: str) -> Path:
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
            raise LinkError("the address has expired: ask for the run's parquetHistory again", 403)
        with self._lock:
            file = self._files.get(name)
        if file is None:
            raise LinkError("there is no such file", 404)
        return file

    def _sign(self, name: str, expires: str) -> str:
        message = f"{name}\n{expires}".encode(errors="surrogateescape")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
