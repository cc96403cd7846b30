"""Requests for the files of exported histories.

Anyone with the address of such a file can read it, so the address is a secret: error messages contain only its host.
The API key is not sent, because these hosts are not the one that it belongs to.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from histscan.errors import HistoryRequestError
from histscan.sources.answers import one_line
from histscan.sources.cancellation import check_cancelled
from histscan.sources.certificates import certificates_of_environment
from histscan.sources.connection_errors import describe_setup, forget_locals
from histscan.sources.inherited import keep_in_forks
from histscan.sources.limits import MAX_FILE, readable_size
from histscan.sources.request_log import log_retry
from histscan.sources.retry import RetryPolicy, pause
from histscan.sources.traffic import RECEIVED

if TYPE_CHECKING:
    import requests

__all__ = ["CutShortError", "FileRequests"]

_Taken = TypeVar("_Taken")

_PART_SIZE = 1 << 20


class CutShortError(Exception):
    """A body does not have the announced length."""


class FileRequests:
    """Requests one file, or parts of it. May be used after a fork.

    Args:
        url: The file's address. It is signed: its query is different in each answer of the server.
        what: What the file contains, for error messages.
        allow_http: Allow an address with plain http.
        timeout: Seconds to wait for a connection, and for each further part of an answer.
        retries: How many times to retry a failed request.
        max_file: The most bytes of the file; None for that of ``HISTSCAN_MAX_FILE``, else 16 GiB.

    Attributes:
        parts: The parts of the address.

    Raises:
        HistoryError: The limit in the environment is not a size.
        HistoryRequestError: The address is invalid.
    """

    def __init__(
        self,
        url: str,
        *,
        what: str = "the exported history",
        allow_http: bool = False,
        timeout: float = 30.0,
        retries: int = 4,
        max_file: int | None = None,
    ) -> None:
        self.parts = _check_address(url, allow_http)
        self._url = url
        self._what = what
        self._timeout = timeout
        self._max_file = MAX_FILE.find(max_file)
        self._policy = RetryPolicy(retries=retries)
        self._sessions: dict[int, requests.Session] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "the address of an exported file is secret and can't be pickled: pickle the scan or the run instead"
        )

    @property
    def host(self) -> str:
        """The host of the file's address."""
        return str(self.parts.hostname)

    def get(
        self, headers: Mapping[str, str], accepted: tuple[int, ...], take: Callable[[requests.Response], _Taken]
    ) -> _Taken:
        """Sends a request, and retries it after transient failures.

        Args:
            headers: Additional headers.
            accepted: The statuses that are not failures.
            take: Reads an answer with one of these statuses. If it raises `CutShortError`, the request is retried.

        Returns:
            What `take` returned.

        Raises:
            HistoryRequestError: All attempts failed, or a retry can't help.
            RequestCancelledError: The request was cancelled.
        """
        import requests

        attempt = 0
        while True:
            check_cancelled()
            try:
                with self._session().get(
                    self._url,
                    # Without an auth object, requests would send the host's password from netrc.
                    auth=lambda request: request,
                    # Without compression, Content-Length is the size of the file.
                    headers={"Accept-Encoding": "identity", **headers},
                    allow_redirects=False,
                    stream=True,
                    timeout=self._timeout,
                ) as response:
                    if response.status_code in accepted:
                        self._check_encoding(response)
                        return take(response)
                    wait = self._policy.wait_after_status(attempt, response.status_code, response.headers)
                    failure = f"answered HTTP {response.status_code}"
            except (requests.RequestException, CutShortError, ValueError) as error:
                # The text of the error may contain the address, so it is not quoted, nor chained as a cause.
                setup = describe_setup(error)
                if setup is None and not isinstance(error, requests.RequestException | CutShortError):
                    raise
                forget_locals(error)
                wait = self._policy.wait_after_failure(attempt) if setup is None else None
                failure = setup or f"could not be read from ({type(error).__name__.lstrip('_')})"
            if wait is None:
                raise HistoryRequestError(f"{self.host}, which has {self._what}, {failure}")
            attempt += 1
            log_retry(f"{self.host}, which has {self._what},", failure, attempt, wait)
            pause(wait)

    def read(self, response: requests.Response) -> Iterator[bytes]:
        """Reads the body of an answer.

        Args:
            response: The answer.

        Yields:
            Its parts.

        Raises:
            HistoryRequestError: The body is larger than the file may be.
            RequestCancelledError: The request was cancelled.
        """
        size = 0
        for part in response.iter_content(_PART_SIZE):
            check_cancelled()
            RECEIVED.add(len(part))
            size += len(part)
            self.check_size(size)
            yield part

    def check_size(self, size: int) -> None:
        """Checks the size of the file, or of a part of it.

        Args:
            size: The size in bytes, as far as it is known.

        Raises:
            HistoryRequestError: The file is larger than it may be.
        """
        if size > self._max_file:
            limit = readable_size(self._max_file)
            raise HistoryRequestError(
                f"{self._what} on {self.host} is a file of more than {limit}B: allow larger ones with `max_file` or "
                f"{MAX_FILE.variable}={readable_size(1 << (size - 1).bit_length())}"
            )

    def _check_encoding(self, response: requests.Response) -> None:
        """Checks that a file is sent as it is: compressed, its size and its parts would be those of other bytes."""
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise HistoryRequestError(
                f"{self.host}, which has {self._what}, sent it compressed ({one_line(encoding)[:40]}), although the "
                "request does not accept that: store the file without a Content-Encoding"
            )

    def _session(self) -> requests.Session:
        session = self._sessions.get(os.getpid())
        if session is None:
            import requests

            # A session for each process: a forked one must not use its parent's connections.
            session = self._sessions.setdefault(os.getpid(), requests.Session())
            if self.parts.scheme == "https":
                session.verify = certificates_of_environment()
            keep_in_forks(session)
            weakref.finalize(self, _close, os.getpid(), session)
        return session


def _close(process: int, session: requests.Session) -> None:
    """Closes a session, unless it belongs to the process from which this one was forked."""
    if process == os.getpid():
        session.close()


def _check_address(url: str, allow_http: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname) and parts.username is None and parts.password is None
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in ("https", "http"):
        raise HistoryRequestError("the server's address of an exported file is not a valid https:// address")
    if parts.scheme == "http" and not allow_http:
        raise HistoryRequestError(
            f"the exported file on {parts.hostname} is only available by http, which is not encrypted"
        )
    return parts
