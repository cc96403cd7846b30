"""Retries: which failures are transient, how often to retry, and how long to wait before each retry."""

from __future__ import annotations

from collections.abc import Mapping
from random import random
from time import sleep, time
from typing import NamedTuple

from histscan.sources.cancellation import current_cancellation

__all__ = ["RetryPolicy", "pause", "requested_wait"]

# The statuses of busy or restarting servers; with any other, a retry would fail in the same way. Those from 520 on are
# sent by proxies that could not reach the server.
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 507, *range(520, 531)})
# From these values on, the reset of a rate limit is a point in time: seconds since 1970, or milliseconds.
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e12


class RetryPolicy(NamedTuple):
    """When to retry a failed request.

    Args:
        retries: The most retries of one request.
        first_wait: Seconds before the first retry; doubled for each further one (exponential backoff). Each wait is
            shortened at random by up to half (jitter), so that requests that failed together are not retried together.
        longest_wait: The most seconds of one wait. If a server requests a longer one, there is no retry.
    """

    retries: int = 4
    first_wait: float = 0.5
    longest_wait: float = 60.0

    def wait_after_failure(self, attempt: int) -> float | None:
        """Returns the seconds to wait after a failed connection; None to give up.

        Args:
            attempt: The number of the failed attempt, from 0.
        """
        if attempt >= self.retries:
            return None
        wait = min(self.first_wait * 2.0**attempt, self.longest_wait)
        return wait * (0.5 + 0.5 * random())  # noqa: S311 - nothing to keep secret

    def wait_after_status(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Returns the seconds to wait after an answer with an error status; None to give up.

        Args:
            attempt: The number of the failed attempt, from 0.
            status: The HTTP status.
            headers: The answer's headers, as a case-insensitive mapping.
        """
        wait = self.wait_after_failure(attempt)
        if wait is None or status not in _TRANSIENT_STATUSES:
            return None
        requested = requested_wait(headers)
        if requested is None:
            return wait
        return requested if requested <= self.longest_wait else None


def pause(seconds: float) -> None:
    """Sleeps until the time is over or the thread's request is cancelled.

    Args:
        seconds: How long.

    Raises:
        RequestCancelledError: The request was cancelled.
    """
    cancellation = current_cancellation()
    if cancellation is None:
        sleep(seconds)
    else:
        cancellation.pause(seconds)


def requested_wait(headers: Mapping[str, str]) -> float | None:
    """Returns the delay that a server requests: until its exceeded rate limit is reset, else that of ``Retry-After``.

    Args:
        headers: The answer's headers, as a case-insensitive mapping.

    Returns:
        The seconds to wait; None if the server requests no delay.
    """
    if headers.get("RateLimit-Remaining", "").strip() == "0":
        reset = _seconds(headers.get("RateLimit-Reset", ""))
        if reset is not None and reset >= _EPOCH_SECONDS and reset != float("inf"):
            reset = max(0.0, (reset / 1000 if reset >= _EPOCH_MILLISECONDS else reset) - time())
        if reset is not None:
            return reset
    retry_after = headers.get("Retry-After", "")
    seconds = _seconds(retry_after)
    if seconds is not None:
        return seconds
    from email.utils import mktime_tz, parsedate_tz

    try:
        until = parsedate_tz(retry_after)
        return None if until is None else max(0.0, mktime_tz(until) - time())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # An invalid date, such as one in the year 99999.
        return None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds >= 0.0 else None
