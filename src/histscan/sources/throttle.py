"""How many requests a client has under way at once: as many as come, until the server says that it is too many.

Each full rate limit (429) halves the number; successes raise it again one by one, as TCP does with its window.
"""

from __future__ import annotations

import threading
from time import monotonic

from histscan.sources.retry import pause

__all__ = ["Throttle"]

# A limit that has come back to this is none any more; no scan has that many requests under way.
_NO_LIMIT = 16


class Throttle:
    """The turns of one client's requests, in one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._limit: int | None = None
        self._lowered = 0
        self._successes = 0
        self._free_at = 0.0

    @property
    def limit(self) -> int | None:
        """How many requests may be under way; None for any number."""
        return self._limit

    def enter(self, waited_until: float) -> int:
        """Waits until a request may be sent.

        Args:
            waited_until: Until when the request itself has waited; 0 if it has not.

        Returns:
            A ticket for `leave`.
        """
        while self._free_at > waited_until:
            # What the server asked of one request holds for the others too.
            free_at = self._free_at
            wait = free_at - max(monotonic(), waited_until)
            if wait > 0:
                pause(wait)
            waited_until = free_at
        with self._changed:
            # One that is under way always comes to its end, and tells.
            while self._limit is not None and self._under_way >= self._limit:
                self._changed.wait()
            self._under_way += 1
            return self._lowered

    def leave(self, ticket: int, status: int | None) -> None:
        """Says how a request ended.

        Args:
            ticket: What `enter` returned.
            status: The HTTP status; None without an answer.
        """
        with self._changed:
            if status == 429:
                # Requests that were sent together fail together: that counts once.
                if ticket == self._lowered:
                    self._limit = max(1, self._under_way // 2)
                    self._lowered += 1
                self._successes = 0
            elif status == 200 and self._limit is not None:
                self._successes += 1
                if self._successes >= self._limit:
                    self._successes = 0
                    self._limit = None if self._limit + 1 >= _NO_LIMIT else self._limit + 1
            self._under_way -= 1
            self._changed.notify_all()

    def hold(self, seconds: float) -> float:
        """Has no further request sent for some time.

        Args:
            seconds: How long the server asks to wait.

        Returns:
            Until when that is, for `enter`.
        """
        with self._changed:
            until = monotonic() + seconds
            self._free_at = max(self._free_at, until)
            return until
