"""Simulates rate limits and faults, reproducibly: for tests of clients."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["TRUNCATE", "Fault", "FaultPlan", "RateLimit", "RateLimiter", "parse_fault"]

TRUNCATE = "truncate"
ERRORS = "errors"

_FAULT = re.compile(
    r"(?P<kind>[a-z]+|[45]\d\d)(@(?P<operation>\w+))?(:(?P<how>every|first|at|rate)=(?P<value>[\d.,]+))?"
)


@dataclass(frozen=True)
class Fault:
    """A fault, and the requests that it affects: all, or as one of `every`, `first`, `at` and `rate` says.

    Attributes:
        kind: An HTTP status, ``"truncate"`` (the connection breaks half way through the body), or ``"errors"`` (a
            response with GraphQL errors).
        operation: The affected operation, like ``HistoryPage``, or ``files``; None for all operations.
        every: Affects every n-th request.
        first: Affects the first n requests.
        at: Affects the requests with these numbers, counted from 1.
        rate: Affects random requests with this probability; the same ones in every server process.
    """

    kind: str
    operation: str | None = None
    every: int | None = None
    first: int | None = None
    at: frozenset[int] = frozenset()
    rate: float | None = None

    def strikes(self, number: int, draw: float) -> bool:
        """Returns True if the fault affects a request.

        Args:
            number: The number of the request, counted from 1 among those of the operation.
            draw: A random number from 0 to 1.
        """
        if self.every is not None:
            return number % self.every == 0
        if self.first is not None:
            return number <= self.first
        if self.rate is not None:
            return draw < self.rate
        return number in self.at if self.at else True


def parse_fault(text: str) -> Fault:
    """Parses a fault from the command line: ``KIND[@OPERATION][:every=N|first=N|at=N,N|rate=P]``.

    Args:
        text: For example ``503``, ``429@HistoryPage:every=10`` or ``truncate@files:first=2``.

    Returns:
        The fault.

    Raises:
        ValueError: The text is no fault; the message describes the syntax.
    """
    found = _FAULT.fullmatch(text)
    try:
        if found is None or not (found["kind"].isdigit() or found["kind"] in (TRUNCATE, ERRORS)):
            raise ValueError
        chosen: dict[str, Any] = {}
        if found["how"] == "at":
            chosen["at"] = frozenset(int(number) for number in found["value"].split(","))
        elif found["how"] == "rate":
            chosen["rate"] = float(found["value"])
        elif found["how"]:
            chosen[found["how"]] = int(found["value"])
        if chosen.get("every") == 0:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{text!r} is not a fault: use KIND[@OPERATION][:every=N|first=N|at=N,N|rate=P], where KIND is an HTTP "
            "status from 400 on, truncate or errors, as in 503@HistoryPage:every=10"
        ) from None
    return Fault(found["kind"], found["operation"], **chosen)


class FaultPlan:
    """Decides which requests fail. Thread-safe.

    Args:
        faults: The faults; the first one that affects a request is used.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._counts = [0] * len(faults)
        self._random = random.Random(0)  # noqa: S311 - reproducible on purpose
        self._lock = threading.Lock()

    def next_fault(self, operation: str) -> str | None:
        """Counts a request.

        Args:
            operation: The operation of the request.

        Returns:
            The kind of fault to simulate; None to respond normally.
        """
        if not self._faults:
            return None
        struck = None
        with self._lock:
            draw = self._random.random()
            for index, fault in enumerate(self._faults):
                if fault.operation in (None, operation):
                    self._counts[index] += 1
                    if struck is None and fault.strikes(self._counts[index], draw):
                        struck = fault.kind
        return struck


@dataclass(frozen=True)
class RateLimit:
    """The state of a rate limiter after a request.

    Attributes:
        is_exceeded: True if the request is over the limit.
        limit: The number of requests allowed at once.
        remaining: The number of requests allowed now.
        reset: Seconds until `limit` requests are allowed again.
        retry_after: Seconds until the next request is allowed.
    """

    is_exceeded: bool
    limit: int
    remaining: int
    reset: float
    retry_after: float


class RateLimiter:
    """A token bucket: allows `rate` requests per second, and a burst of as many. Thread-safe.

    Args:
        rate: Requests per second.
        clock: Returns the time in seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate)
        self._tokens = self._capacity
        self._clock = clock
        self._filled = clock()
        self._lock = threading.Lock()

    def take(self) -> RateLimit:
        """Counts a request.

        Returns:
            The limiter's state.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
            is_exceeded = self._tokens < 1
            if not is_exceeded:
                self._tokens -= 1
            return RateLimit(
                is_exceeded,
                int(self._capacity),
                int(self._tokens),
                (self._capacity - self._tokens) / self._rate,
                max(0.0, (1 - self._tokens) / self._rate),
            )
