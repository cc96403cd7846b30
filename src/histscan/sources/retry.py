"""How often a request is sent again, and how long to wait before: a few times, never longer than a bound."""

from __future__ import annotations

from collections.abc import Mapping
from time import sleep, time
from typing import NamedTuple

__all__ = ["RetryPolicy", "pause"]

# A server that is busy or restarting answers with these; others would fail the same way again.
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class RetryPolicy(NamedTuple):
    """When to send a failed request again.

    Args:
        retries: How many times a request may be sent again.
        first_wait: Seconds before the first retry; doubled for each one after.
        longest_wait: Seconds that one wait may last. A server that asks for more gets no retry at all.
    """

    retries: int = 4
    first_wait: float = 0.5
    longest_wait: float = 60.0

    def wait_after_failure(self, attempt: int) -> float | None:
        """Returns the seconds to wait after a connection failed, or None to give up.

        Args:
            attempt: How many times the request was sent before, from 0.
        """
        if attempt >= self.retries:
            return None
        return min(self.first_wait * 2.0**attempt, self.longest_wait)

    def wait_after_status(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Returns the seconds to wait after the server answered with an error, or None to give up.

        Args:
            attempt: How many times the request was sent before, from 0.
            status: The HTTP status.
            headers: The answer's headers, whatever their case.
        """
        wait = self.wait_after_failure(attempt)
        if wait is None or status not in _PASSING_STATUSES:
            return None
        asked = _asked_wait(headers)
        if asked is None:
            return wait
        return asked if asked <= self.longest_wait else None


def pause(seconds: float) -> None:
    """Waits; the one place where a request's thread sleeps.

    Args:
        seconds: How long.
    """
    sleep(seconds)


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks for: its rate limit's reset once that is used up, else ``Retry-After``."""
    if headers.get("RateLimit-Remaining", "").strip() == "0":
        reset = _seconds(headers.get("RateLimit-Reset", ""))
        if reset is not None:
            return reset
    asked = headers.get("Retry-After", "")
    seconds = _seconds(asked)
    if seconds is not None:
        return seconds
    from email.utils import mktime_tz, parsedate_tz

    until = parsedate_tz(asked)
    return None if until is None else max(0.0, mktime_tz(until) - time())


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds >= 0.0 else None
