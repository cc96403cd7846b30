"""Files of exported histories: downloaded from the addresses that a server gives out, and kept in a cache.

Whoever has such an address may read the file, so it is treated as a secret: no error tells more of it than its host.
The API key is not sent along, for these hosts are not the one that it belongs to.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from histscan.atomic import atomic_output
from histscan.errors import HistoryRequestError
from histscan.sources.retry import RetryPolicy, pause

if TYPE_CHECKING:
    import requests

__all__ = ["cache_folder", "fetch_file"]

_PART_SIZE = 1 << 20
# Another process may still read an older version of a file.
_OLD_VERSIONS_STAY = 24 * 3600.0


def cache_folder() -> Path:
    """Returns the folder that exported files are kept in.

    Returns:
        ``HISTSCAN_CACHE_DIR``, or else ``histscan`` in the user's folder for caches (``XDG_CACHE_HOME``, ``~/.cache``).
    """
    own = os.environ.get("HISTSCAN_CACHE_DIR")
    if own:
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME", "")
    # The standard has it that a relative path there is to be ignored.
    return (Path(users) if os.path.isabs(users) else Path.home() / ".cache") / "histscan"


def fetch_file(
    url: str, folder: Path, *, allow_http: bool = False, timeout: float = 30.0, retries: int = 4, reuse: bool = True
) -> Path:
    """Downloads a file, unless the very version that the server has is in the cache.

    Args:
        url: The file's address, which is signed: its query is different each time it is given out.
        folder: The cache.
        allow_http: Whether the address may be one of plain http.
        timeout: Seconds to wait for a connection, and for each further part of the file.
        retries: How many times a failed request is sent again.
        reuse: Whether a file that is in the cache may stay; False downloads it again.

    Returns:
        The file in the cache, complete. Its name is made of digits and letters, whatever the address is.

    Raises:
        HistoryRequestError: The address can't be used, or the file not be had.
        OSError: The cache can't be written.
    """
    import requests

    parts = _check_address(url, allow_http)
    policy = RetryPolicy(retries=retries)
    attempt = 0
    with requests.Session() as session:
        while True:
            try:
                with session.get(
                    url,
                    # Without anything in this place, a password for the host would be looked up in netrc.
                    auth=lambda request: request,
                    # The size that is announced is that of the file.
                    headers={"Accept-Encoding": "identity"},
                    allow_redirects=False,
                    stream=True,
                    timeout=timeout,
                ) as response:
                    if response.status_code == requests.codes.ok:
                        return _keep(response, folder, parts, reuse)
                    wait = policy.wait_after_status(attempt, response.status_code, response.headers)
                    failure = f"answered HTTP {response.status_code}"
            except (requests.RequestException, _CutShortError) as error:
                # What requests says may have the address in it, so the error is not kept as a cause either.
                wait = policy.wait_after_failure(attempt)
                failure = f"could not be read from ({type(error).__name__})"
            if wait is None:
                raise HistoryRequestError(f"{parts.hostname}, which has the exported history, {failure}")
            pause(wait)
            attempt += 1


class _CutShortError(Exception):
    """A file ended before its announced size."""


def _check_address(url: str, allow_http: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and parts.username is None and parts.password is None
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in ("https", "http"):
        raise HistoryRequestError("the address of an exported file is none of https")
    if parts.scheme == "http" and not allow_http:
        raise HistoryRequestError(f"the exported file on {parts.hostname} is not to be had by https")
    return parts


def _keep(response: requests.Response, folder: Path, parts: SplitResult, reuse: bool) -> Path:
    """Returns the version in the cache that an answer begins to send, or stores the rest of the answer as that."""
    tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    address = hashlib.sha256(f"{parts.scheme}://{parts.netloc}{parts.path}".encode(errors="surrogatepass")).hexdigest()
    version = hashlib.sha256(f"{tag}\n{size}".encode()).hexdigest()
    path = folder / f"{address[:32]}-{version[:16]}.parquet"
    with suppress(FileNotFoundError):
        # A file without a tag could be any version; one of another size was not written by us.
        if reuse and tag and size is not None and path.stat().st_size == size:
            return path
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_output(path) as output:
        written = sum(output.write(part) for part in response.iter_content(_PART_SIZE))
        if size is not None and written != size:
            raise _CutShortError
    _remove_older_versions(folder, address[:32], path)
    return path


def _remove_older_versions(folder: Path, address: str, newest: Path) -> None:
    limit = time.time() - _OLD_VERSIONS_STAY
    for path in folder.glob(f"{address}-*.parquet"):
        with suppress(OSError):
            if path != newest and path.stat().st_mtime < limit:
                path.unlink()
