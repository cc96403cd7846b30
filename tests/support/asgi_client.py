"""Sends requests to an ASGI application without a server or a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from histscan.server.app import HistoryApp
from histscan.server.catalogue import Catalogue
from histscan.server.settings import ServerSettings


@dataclass
class Reply:
    """An answer.

    Attributes:
        status: The HTTP status.
        headers: The headers, names in lower case.
        body: The body.
        is_complete: The application finished it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    is_complete: bool

    def json(self) -> Any:
        """Parse the body, which must be JSON as the standard has it."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.body, parse_constant=refuse)


@dataclass
class AsgiClient:
    """Asks an application."""

    app: HistoryApp

    def request(
        self, method: str, address: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """Send a request to a path or an address, which may have a query."""
        parts = urlsplit(address)
        given = {"host": "127.0.0.1:8090", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        }
        sent: list[MutableMapping[str, Any]] = []

        unread = [body]

        async def receive() -> MutableMapping[str, Any]:
            if not unread:
                # As a client that stays connected.
                await asyncio.Event().wait()
            return {"type": "http.request", "body": unread.pop(), "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        start, *parts_sent = sent
        return Reply(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in parts_sent),
            not parts_sent[-1].get("more_body", False),
        )

    def post(self, request: Any, **headers: str) -> Reply:
        """Send a GraphQL request."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(
            "POST", "/graphql", headers={"content-type": "application/json", **names}, body=json.dumps(request).encode()
        )

    def query(self, query: str, **variables: Any) -> Any:
        """Send a GraphQL query and return the answer's `data`; fail if it has errors."""
        reply = self.post({"query": query, "variables": variables})
        parsed = reply.json()
        assert "errors" not in parsed, parsed["errors"]
        assert reply.status == 200
        return parsed["data"]

    def errors(self, query: str, **variables: Any) -> list[str]:
        """Send a GraphQL query and return the messages of the answer's errors."""
        return [error["message"] for error in self.post({"query": query, "variables": variables}).json()["errors"]]


def client_of(*paths: Path, folder: Path, **settings: Any) -> AsgiClient:
    """Make an application that serves some paths, and a client of it."""
    chosen = ServerSettings(paths=paths, **settings)
    return AsgiClient(HistoryApp(chosen, Catalogue(chosen, folder)))
