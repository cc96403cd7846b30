"""How often a request is sent again, and how long to wait before: a few times, never longer than a bound."""

from __future__ import annotations

from collections.abc import Mapping
from random import random
from time import sleep, time
from typing import NamedTuple

from histscan.sources.cancellation import current_cancellation

__all__ = ["RetryPolicy", "pause", "wait_asked_for"]

# A server that is busy or restarting answers with these; others would fail the same way again. From 520 on they are of
# proxies that could not reach the server.
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 507, *range(520, 531)})
# A reset of a rate limit beyond this many seconds is a point in time: seconds since 1970, or milliseconds.
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e12


class RetryPolicy(NamedTuple):
    """When to send a failed request again.

    Args:
        retries: How many times a request may be sent again.
        first_wait: Seconds before the first retry, at most; doubled for each one after. Chance takes up to half of a
            wait off, so that many who failed together do not come back together.
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
        wait = min(self.first_wait * 2.0**attempt, self.longest_wait)
        return wait * (0.5 + 0.5 * random())  # noqa: S311 - nothing to keep secret

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
        asked = wait_asked_for(headers)
        if asked is None:
            return wait
        return asked if asked <= self.longest_wait else None


def pause(seconds: float) -> None:
    """Waits; the one place where a request's thread sleeps.

    Args:
        seconds: How long.

    Raises:
        RequestCancelledError: The request was called off meanwhile.
    """
    cancellation = current_cancellation()
    if cancellation is None:
        sleep(seconds)
    else:
        cancellation.pause(seconds)


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that a server asks for: its rate limit's reset once that is used up, else ``Retry-After``.

    Args:
        headers: The answer's headers, whatever their case.

    Returns:
        The seconds; None if it asks for none.
    """
    if headers.get("RateLimit-Remaining", "").strip() == "0":
        reset = _seconds(headers.get("RateLimit-Reset", ""))
        if reset is not None and reset >= _EPOCH_SECONDS and reset != float("inf"):
            reset = max(0.0, (reset / 1000 if reset >= _EPOCH_MILLISECONDS else reset) - time())
        if reset is not None:
            return reset
    asked = headers.get("Retry-After", "")
    seconds = _seconds(asked)
    if seconds is not None:
        return seconds
    from email.utils import mktime_tz, parsedate_tz

    try:
        until = parsedate_tz(asked)
        return None if until is None else max(0.0, mktime_tz(until) - time())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # A date that is none, such as one in the year 99999.
        return None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds >= 0.0 else None
