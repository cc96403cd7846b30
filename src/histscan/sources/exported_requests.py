"""Requests for the files of exported histories.

Whoever has the address of such a file may read it, so it is treated as a secret: no error tells more of it than its
host. The API key is not sent along, for these hosts are not the one that it belongs to.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from histscan.errors import HistoryRequestError
from histscan.sources.cancellation import current_cancellation
from histscan.sources.certificates import certificates_of_environment
from histscan.sources.connection_errors import describe_setup
from histscan.sources.inherited import keep_in_forks
from histscan.sources.retry import RetryPolicy, pause

if TYPE_CHECKING:
    import requests

__all__ = ["CutShortError", "FileRequests"]

_Taken = TypeVar("_Taken")

_PART_SIZE = 1 << 20


class CutShortError(Exception):
    """What was sent is not as long as it was said to be."""


class FileRequests:
    """Asks for one file, or for parts of it; the process may be forked meanwhile.

    Args:
        url: The file's address, which is signed: its query is different each time it is given out.
        what: What the file has, in words for an error message.
        allow_http: Whether the address may be one of plain http.
        timeout: Seconds to wait for a connection, and for each further part of an answer.
        retries: How many times a failed request is sent again.

    Attributes:
        parts: The parts of the address.

    Raises:
        HistoryRequestError: The address can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        what: str = "the exported history",
        allow_http: bool = False,
        timeout: float = 30.0,
        retries: int = 4,
    ) -> None:
        self.parts = _check_address(url, allow_http)
        self._url = url
        self._what = what
        self._timeout = timeout
        self._policy = RetryPolicy(retries=retries)
        self._sessions: dict[int, requests.Session] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "the address of an exported file can't be pickled, because it is a secret: pickle the scan or the run"
        )

    @property
    def host(self) -> str:
        """The host that has the file."""
        return str(self.parts.hostname)

    def get(
        self, headers: Mapping[str, str], accepted: tuple[int, ...], take: Callable[[requests.Response], _Taken]
    ) -> _Taken:
        """Sends a request, again and again while it fails and may succeed later.

        Args:
            headers: What to send beside the usual.
            accepted: The statuses that are no failures.
            take: Makes something of an answer with one of these; a `CutShortError` of it is a failure, too.

        Returns:
            What `take` returned.

        Raises:
            HistoryRequestError: There is no such answer.
            RequestCancelledError: Nobody waits for it any longer.
        """
        import requests

        attempt = 0
        while True:
            _check_cancelled()
            try:
                with self._session().get(
                    self._url,
                    # Without anything in this place, a password for the host would be looked up in netrc.
                    auth=lambda request: request,
                    # The size that is announced is that of the file.
                    headers={"Accept-Encoding": "identity", **headers},
                    allow_redirects=False,
                    stream=True,
                    timeout=self._timeout,
                ) as response:
                    if response.status_code in accepted:
                        return take(response)
                    wait = self._policy.wait_after_status(attempt, response.status_code, response.headers)
                    failure = f"answered HTTP {response.status_code}"
            except (requests.RequestException, CutShortError, ValueError) as error:
                # What requests says may have the address in it, so the error is not kept as a cause either.
                setup = describe_setup(error)
                if setup is None and not isinstance(error, requests.RequestException | CutShortError):
                    raise
                wait = self._policy.wait_after_failure(attempt) if setup is None else None
                failure = setup or f"could not be read from ({type(error).__name__.lstrip('_')})"
            if wait is None:
                raise HistoryRequestError(f"{self.host}, which has {self._what}, {failure}")
            pause(wait)
            attempt += 1

    def read(self, response: requests.Response) -> Iterator[bytes]:
        """Reads the body of an answer.

        Args:
            response: The answer.

        Yields:
            Its parts.

        Raises:
            RequestCancelledError: Nobody waits for it any longer.
        """
        for part in response.iter_content(_PART_SIZE):
            _check_cancelled()
            yield part

    def _session(self) -> requests.Session:
        session = self._sessions.get(os.getpid())
        if session is None:
            import requests

            # Forked: the connections are those of the parent.
            session = self._sessions.setdefault(os.getpid(), requests.Session())
            if self.parts.scheme == "https":
                session.verify = certificates_of_environment()
            keep_in_forks(session)
            weakref.finalize(self, _close, os.getpid(), session)
        return session


def _close(process: int, session: requests.Session) -> None:
    """Closes a session, unless it is that of the process from which this one was forked."""
    if process == os.getpid():
        session.close()


def _check_cancelled() -> None:
    cancellation = current_cancellation()
    if cancellation is not None:
        cancellation.check()


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
