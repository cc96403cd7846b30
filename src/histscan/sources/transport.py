"""GraphQL requests over HTTP: gql prepares them, requests sends them, and the key goes to its own host only.

Imported when the first request is made, because gql and requests take longer to import than all of histscan.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from gql import GraphQLRequest
from gql.transport.requests import RequestsHTTPTransport
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

from histscan._version import __version__
from histscan.sources.cancellation import current_cancellation
from histscan.sources.certificates import certificates_of_environment
from histscan.sources.credentials import is_this_machine
from histscan.sources.inherited import keep_in_forks

__all__ = ["HistoryTransport"]

# Connections kept open to the server; more threads than this share them at the price of reconnecting.
_POOL_SIZE = 16
# Bytes of an answer that are read at a time.
_PIECE = 1 << 20


class _OwnHostAuth(AuthBase):
    """Basic authentication as user ``api``, for requests to one origin and to no other.

    It stands in even when there is no key: without an auth object, requests would look the host up in netrc by itself,
    and send the password of a ``default`` entry.
    """

    def __init__(self, url: str, api_key: str | None) -> None:
        self._origin = _origin(url)
        self._basic = None if api_key is None else HTTPBasicAuth("api", api_key)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._basic is not None and _origin(request.url or "") == self._origin:
            self._basic(request)
        return request


class _PlainConnection(HTTPConnection):
    """A connection whose request may be called off from another thread."""

    def connect(self) -> None:
        super().connect()
        _check()

    def request(self, *args: Any, **kwargs: Any) -> None:
        _check()
        super().request(*args, **kwargs)
        _hold(self)


class _TLSConnection(HTTPSConnection):
    """The same, encrypted."""

    def connect(self) -> None:
        super().connect()
        _check()

    def request(self, *args: Any, **kwargs: Any) -> None:
        _check()
        super().request(*args, **kwargs)
        _hold(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def _check() -> None:
    cancellation = current_cancellation()
    if cancellation is not None:
        cancellation.check()


def _hold(connection: HTTPConnection) -> None:
    cancellation = current_cancellation()
    if cancellation is not None:
        cancellation.hold(connection.sock)


class _Adapter(HTTPAdapter):
    """Makes connections whose requests may be called off, to the server or to a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        # Connections through a SOCKS proxy are of classes of their own, and their requests can't be cancelled.
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}
        return manager


class HistoryTransport(RequestsHTTPTransport):
    """Sends GraphQL requests and returns the server's answer as it came.

    Args:
        url: The GraphQL endpoint.
        api_key: The key, or None to send none.
        timeout: Seconds to wait for a connection, and for the next bytes of an answer.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float) -> None:
        # A redirect is never followed: the key is meant for this address, and a POST would turn into a GET on the way.
        super().__init__(
            url,
            headers={"User-Agent": f"histscan/{__version__}"},
            auth=_OwnHostAuth(url, api_key),
            verify=certificates_of_environment() if url.startswith("https:") else True,
            allow_redirects=False,
        )
        self._timeout = timeout
        # A proxy has no business with this machine's own addresses, and would see the key in plain http.
        host = urlsplit(url).hostname or ""
        self._no_proxy = {"no_proxy": host} if is_this_machine(host) else {}

    def connect(self) -> None:
        """Opens the session; connections are made when first needed, and kept."""
        super().connect()  # type: ignore[no-untyped-call]
        assert self.session is not None
        keep_in_forks(self.session)
        adapter = _Adapter(pool_connections=1, pool_maxsize=_POOL_SIZE)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)
        # Nothing here needs a cookie, and without any the session has no state for threads to share.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def post(self, request: GraphQLRequest) -> requests.Response:
        """Sends one request and reads its answer to the end.

        Args:
            request: The document with its variables.

        Returns:
            The answer, whatever its status; its ``content`` is read and decompressed.

        Raises:
            requests.RequestException: No answer came, or it broke off.
            RequestCancelledError: The request was called off before it was sent.
        """
        assert self.session is not None
        options = {"timeout": self._timeout, "stream": True, "proxies": dict(self._no_proxy)}
        arguments = self._prepare_request(request, extra_args=options)
        try:
            response = self.session.post(self.url, **arguments)
            try:
                # requests would read the body in pieces of 10 KiB, of which each has to wait for a turn among threads.
                response._content = b"".join(response.iter_content(_PIECE))
            except BaseException:
                response.close()
                raise
            return response
        finally:
            cancellation = current_cancellation()
            if cancellation is not None:
                cancellation.hold(None)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
