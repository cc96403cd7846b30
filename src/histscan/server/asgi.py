"""HTTP requests and answers, as ASGI hands them over."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BodyTooLargeError", "Message", "Receive", "Request", "Response", "Send", "json_response", "read_request"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 16 << 20


class BodyTooLargeError(Exception):
    """A request's body is larger than any that makes sense here."""


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        method: ``GET``, ``POST``, …
        path: The path, decoded.
        query: What follows the question mark.
        headers: The headers, names in lower case; of several of one name the last.
        body: The body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        status: The HTTP status.
        body: The body, in parts that are sent one after the other.
        length: Bytes of all parts.
        headers: More headers.
    """

    status: int
    body: Iterable[bytes] = ()
    length: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send, *, without_body: bool = False, only_half: bool = False) -> None:
        """Sends the answer.

        Args:
            send: Takes its parts.
            without_body: Send only the headers, as HEAD is answered.
            only_half: Stop half way through the body, so that the connection is closed there.
        """
        headers = [(b"content-length", str(self.length).encode())]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if not without_body:
            left = self.length // 2 if only_half else self.length
            for part in self.body:
                sent = part if len(part) <= left else part[:left]
                left -= len(sent)
                await send({"type": "http.response.body", "body": sent, "more_body": left > 0 or only_half})
                if left == 0:
                    return
        await send({"type": "http.response.body", "body": b""})


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Makes an answer of JSON.

    Args:
        value: What to send; bytes are JSON already.
        status: The HTTP status.
        headers: More headers.

    Returns:
        The answer.
    """
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Response(status, (body,), len(body), {"Content-Type": "application/json", **(headers or {})})


async def read_request(scope: Mapping[str, Any], receive: Receive) -> Request:
    """Reads a request to its end.

    Args:
        scope: ASGI's description of the request.
        receive: Hands over the body.

    Returns:
        The request.

    Raises:
        BodyTooLargeError: The body is too large.
    """
    parts = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > LARGEST_BODY:
            raise BodyTooLargeError
        if not message.get("more_body"):
            break
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"".join(parts),
    )
