"""JSON responses, and a response wrapper that counts what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

__all__ = ["ObservedResponse", "json_response", "problem", "streamed_json"]

PART_SIZE = 256 << 10
"""Bytes that are sent at once: the server waits until the client has read most of what came before."""


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Makes a response of JSON.

    Args:
        value: The value to encode; bytes are sent as they are.
        status: The HTTP status.
        headers: More headers.

    Returns:
        The response.
    """
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Response(body, status, headers, media_type="application/json")


def streamed_json(parts: Sequence[bytes | memoryview], status: int) -> Response:
    """Makes a response of JSON that is complete, but may be too large to be copied.

    Args:
        parts: The body, in parts.
        status: The HTTP status.

    Returns:
        The response.
    """
    size = sum(map(len, parts))
    return json_response(b"".join(parts), status) if size <= PART_SIZE else _StreamedJson(parts, size, status)


class _StreamedJson(Response):
    """Sends its parts one after the other."""

    def __init__(self, parts: Sequence[bytes | memoryview], size: int, status: int) -> None:
        super().__init__(None, status, {"Content-Length": str(size)}, media_type="application/json")
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            for first in range(0, len(part), PART_SIZE):
                body = bytes(part[first : first + PART_SIZE])
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Makes an error response in the form of a GraphQL error.

    Args:
        status: The HTTP status.
        message: What is wrong, and what to do.
        headers: More headers.

    Returns:
        The response.
    """
    return json_response({"data": None, "errors": [{"message": message}]}, status, headers)


class ObservedResponse:
    """A response that reports its status and length when it is sent.

    Args:
        response: The response.
        note: Called with the HTTP status and the length of the whole body, before the body is sent.
        is_cut: Stop half way through the body, so that the connection breaks.
    """

    def __init__(self, response: Response, note: Callable[[int, int], None], *, is_cut: bool = False) -> None:
        self._response = response
        self._note = note
        self._is_cut = is_cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response; an ASGI application."""
        left = 0

        async def send_observed(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                length = next((int(value) for name, value in message["headers"] if name == b"content-length"), 0)
                self._note(message["status"], length)
                left = length // 2
            elif self._is_cut:
                part = message.get("body", b"")[:left]
                left -= len(part)
                message = {**message, "body": part, "more_body": True}
            await send(message)

        await self._response(scope, receive, send_observed)
