"""Middleware that rejects requests with a wrong host or API key, and adds the headers of every response."""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import urlsplit

from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from histscan.server.execution import error_body
from histscan.server.file_links import PREFIX
from histscan.server.responses import json_response, problem
from histscan.server.settings import LOOPBACK_HOSTS, ServerSettings

__all__ = ["Guard"]

_NOSNIFF = (b"x-content-type-options", b"nosniff")


class Guard:
    """Checks the Host header and the API key of each request.

    Args:
        app: Handles the requests that pass.
        settings: The settings.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._api_key = settings.api_key
        self._is_local = settings.host in LOOPBACK_HOSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; an ASGI application."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], _NOSNIFF]}
            await send(message)

        headers = Headers(scope=scope)
        if self._is_local and _host_name(headers) not in LOOPBACK_HOSTS:
            # DNS rebinding: a web page may resolve its own domain to this machine, and must not read the runs that way.
            answer: ASGIApp = problem(421, "wrong Host header: use localhost, 127.0.0.1 or [::1] in WANDB_BASE_URL")
        elif not self._is_permitted(scope["path"], headers):
            answer = json_response(
                error_body([GraphQLError("the API key is missing or wrong: set WANDB_API_KEY to the server's key")]),
                401,
                {"WWW-Authenticate": 'Basic realm="histscan"'},
            )
        else:
            answer = self._app
        await answer(scope, receive, send_guarded)

    def _is_permitted(self, path: str, headers: Headers) -> bool:
        # A signed URL needs no key.
        return self._api_key is None or path.startswith(PREFIX) or _has_key(headers, self._api_key)


def _host_name(headers: Headers) -> str:
    """Returns the host name of the Host header, without the port."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _has_key(headers: Headers, api_key: str) -> bool:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    given = credentials.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), api_key.encode())
