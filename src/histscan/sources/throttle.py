"""Limits how many requests a client sends at once. There is no limit until the server reports an exceeded rate limit.

Each exceeded rate limit (429) halves the number; successes raise it again one by one, as TCP does with its window.
"""

from __future__ import annotations

import threading
from time import monotonic

from histscan.sources.request_log import log_throttle
from histscan.sources.retry import pause

__all__ = ["Throttle"]

# A limit that rises to this is removed: no scan has that many requests in flight.
_NO_LIMIT = 16


class Throttle:
    """Limits the concurrent requests of one client in one process. Thread-safe."""

    def __init__(self) -> None:
        # Guards all that follows; notified whenever a request ends.
        self._changed = threading.Condition()
        self._in_flight = 0
        self._limit: int | None = None
        self._lowered = 0
        self._successes = 0
        self._free_at = 0.0

    @property
    def limit(self) -> int | None:
        """The most requests that may be in flight; None for no limit."""
        return self._limit

    def enter(self, waited_until: float) -> int:
        """Waits until a request may be sent. The caller must then call `leave`.

        Args:
            waited_until: The time, from `back_off`, until which the request itself has waited; 0 if it has not.

        Returns:
            A ticket for `leave`.
        """
        while self._free_at > waited_until:
            # A delay that the server requested applies to all requests.
            free_at = self._free_at
            wait = free_at - max(monotonic(), waited_until)
            if wait > 0:
                pause(wait)
            waited_until = free_at
        with self._changed:
            # Every request in flight ends with leave(), which notifies.
            while self._limit is not None and self._in_flight >= self._limit:
                self._changed.wait()
            self._in_flight += 1
            return self._lowered

    def leave(self, ticket: int, status: int | None) -> None:
        """Records the end of a request.

        Args:
            ticket: The ticket from `enter`.
            status: The HTTP status; None if there is no answer.
        """
        with self._changed:
            before = self._limit
            if status == 429:
                # Requests that were sent together fail together, which counts once.
                if ticket == self._lowered:
                    self._limit = max(1, self._in_flight // 2)
                    self._lowered += 1
                self._successes = 0
            elif status == 200 and self._limit is not None:
                self._successes += 1
                if self._successes >= self._limit:
                    self._successes = 0
                    self._limit = None if self._limit + 1 >= _NO_LIMIT else self._limit + 1
            self._in_flight -= 1
            self._changed.notify_all()
            after = self._limit
        if after != before:
            log_throttle(after)

    def back_off(self, seconds: float) -> float:
        """Delays all further requests.

        Args:
            seconds: The delay that the server requested.

        Returns:
            The end of the delay, for `enter`.
        """
        with self._changed:
            until = monotonic() + seconds
            self._free_at = max(self._free_at, until)
            return until
