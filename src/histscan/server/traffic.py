"""Counts requests and responses: for tests, benches, and people who want to send fewer requests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["InFlight", "Traffic"]

# Clients choose the names of operations.
LONGEST_NAME = 100
MOST_NAMES = 1000
OTHERS = "others"


class Traffic:
    """Counts requests and responses. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Resets all counts except the requests in flight."""
        with self._lock:
            self._most_in_flight = self._in_flight
            self._bytes_sent = 0
            self._operations: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Counts a request as in flight until the block ends."""
        with self._lock:
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def count(self, operation: str, status: int, length: int) -> None:
        """Counts a response.

        Args:
            operation: The operation of the request.
            status: The HTTP status.
            length: The length of the body in bytes.
        """
        name = operation[:LONGEST_NAME]
        with self._lock:
            if name not in self._operations and len(self._operations) >= MOST_NAMES:
                name = OTHERS
            self._operations[name] += 1
            self._statuses[str(status)] += 1
            self._bytes_sent += length

    def report(self) -> dict[str, Any]:
        """Returns the counts.

        Returns:
            The members of a JSON object.
        """
        with self._lock:
            return {
                "requests": self._operations.total(),
                "operations": dict(self._operations),
                "statuses": dict(self._statuses),
                "most_in_flight": self._most_in_flight,
                "bytes_sent": self._bytes_sent,
            }


class InFlight:
    """Middleware that counts a request as in flight until its response is sent.

    Args:
        app: Handles the requests.
        traffic: The counts.
    """

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; an ASGI application."""
        with self._traffic.answering():
            await self._app(scope, receive, send)
