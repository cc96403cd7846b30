"""GraphQL requests over HTTP: requests sends what gql has prepared, with the key for its own host only.

Imported with the first request, because importing requests takes longer than importing all of histscan.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from gql import GraphQLRequest
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

from histscan._version import __version__
from histscan.sources.answers import load_body
from histscan.sources.cancellation import check_cancelled, current_cancellation
from histscan.sources.certificates import certificates_of_environment
from histscan.sources.credentials import ApiKey, is_this_machine
from histscan.sources.inherited import keep_in_forks
from histscan.sources.traffic import RECEIVED

__all__ = ["Transport"]

# Connections kept open to the server. With more threads than this, some requests open a new connection.
_POOL_SIZE = 16
# Bytes to read of an answer with an error status; its errors are shorter.
_LONGEST_FAILURE = 1 << 20


class _OwnHostAuth(AuthBase):
    """Basic authentication as user ``api``, for requests to one origin and to no other.

    Used even without a key: without an auth object, requests would look the host up in netrc by itself, and send the
    password of a ``default`` entry.
    """

    def __init__(self, url: str, api_key: ApiKey | None) -> None:
        self._origin = _origin(url)
        self._basic = None if api_key is None else HTTPBasicAuth("api", api_key.text)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._basic is not None and _origin(request.url or "") == self._origin:
            self._basic(request)
        return request


class _Cancellable:
    """The part of a connection whose requests can be cancelled from another thread."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        check_cancelled()

    def request(self, *args: Any, **kwargs: Any) -> None:
        check_cancelled()
        super().request(*args, **kwargs)  # type: ignore[misc]
        cancellation = current_cancellation()
        if cancellation is not None:
            cancellation.watch(self.sock)


class _PlainConnection(_Cancellable, HTTPConnection):
    pass


class _TLSConnection(_Cancellable, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    """Makes connections, to the server or to a proxy, whose requests can be cancelled."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        # Connections through a SOCKS proxy have their own classes, and their requests can't be cancelled.
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}
        return manager


class Transport:
    """Sends GraphQL requests to one server and returns its raw answers. Thread-safe.

    Connections are opened when first needed, and kept open.

    Args:
        url: The GraphQL endpoint.
        api_key: The key, or None to send none.
        timeout: Seconds to wait for a connection, and for the next bytes of an answer.
        max_answer: The most bytes of an answer, decompressed.

    Raises:
        HistoryRequestError: The environment names a file of CA certificates that does not exist.
    """

    def __init__(self, url: str, api_key: ApiKey | None, timeout: float, max_answer: int) -> None:
        self._url = url
        self._timeout = timeout
        self._max_answer = max_answer
        self._auth = _OwnHostAuth(url, api_key)
        # Passed with each request: requests would let its environment variables override the session's option.
        self._verify = certificates_of_environment() if url.startswith("https:") else True
        # Addresses of this machine need no proxy, which would see the key in plain http.
        host = urlsplit(url).hostname or ""
        self._proxies = {"no_proxy": host} if is_this_machine(host) else {}
        self._session = requests.Session()
        keep_in_forks(self._session)
        self._session.headers["User-Agent"] = f"histscan/{__version__}"
        adapter = _Adapter(pool_connections=1, pool_maxsize=_POOL_SIZE)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # Without cookies, which no request needs, the session has no state that threads would share.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def close(self) -> None:
        """Closes the open connections."""
        self._session.close()

    def post(self, request: GraphQLRequest) -> requests.Response:
        """Sends one request and reads the whole answer.

        Args:
            request: The document with its variables.

        Returns:
            The answer, whatever its status, with its decompressed body in ``content``: of an error status, at most
            its first MiB.

        Raises:
            HistoryRequestError: The answer is larger than allowed.
            requests.RequestException: There is no answer, or it was cut short.
            RequestCancelledError: The request was cancelled before it was sent.
        """
        try:
            response = self._session.post(
                self._url,
                json=request.payload,
                auth=self._auth,
                verify=self._verify,
                # requests adds the proxies of the environment to this dict.
                proxies=dict(self._proxies),
                timeout=self._timeout,
                stream=True,
                # A redirect is never followed: the key belongs to this address, and a POST would become a GET.
                allow_redirects=False,
            )
            if response.status_code == requests.codes.ok:
                load_body(response, self._max_answer)
            else:
                load_body(response, min(_LONGEST_FAILURE, self._max_answer), cut=True)
            RECEIVED.add(len(response.content))
            return response
        finally:
            cancellation = current_cancellation()
            if cancellation is not None:
                cancellation.watch(None)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
