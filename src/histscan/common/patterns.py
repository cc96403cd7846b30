"""Regular expressions from requests and options, whose search takes a limited time.

Python's `re` can search for years, and no thread can stop it. `regex` accepts the same expressions, and stops in time.
"""

from __future__ import annotations

import re
import threading
from time import monotonic
from typing import Any

__all__ = ["PATTERN_SECONDS", "PatternError", "SearchTime", "TimedPattern"]

PATTERN_SECONDS = 1.0
"""The time in seconds that searches which belong together may take."""

MOST_PATTERNS = 100
"""Patterns that may share a `SearchTime`: to compile one takes about a millisecond."""

LONGEST_PATTERN = 1000
MOST_REPEATS = 10_000

# `regex` writes a fixed repeat out: (?:a{1000}){1000} has a million characters.
_REPEAT = re.compile(r"\{(\d+)")


class PatternError(ValueError):
    """A pattern is invalid, or its search took too long."""


class SearchTime:
    """The time that the searches of some patterns may take together. Thread-safe.

    Args:
        seconds: The time in seconds.

    Attributes:
        allowed: The time in seconds.
        left: What is left of it.
    """

    def __init__(self, seconds: float = PATTERN_SECONDS) -> None:
        self.allowed = self.left = seconds
        self._patterns = 0
        self._lock = threading.Lock()

    def add_pattern(self) -> None:
        """Counts a pattern.

        Raises:
            PatternError: There are too many.
        """
        with self._lock:
            self._patterns += 1
        if self._patterns > MOST_PATTERNS:
            raise PatternError(f"there are more than {MOST_PATTERNS} patterns")

    def spend(self, seconds: float) -> None:
        """Counts a search.

        Args:
            seconds: How long it took.
        """
        with self._lock:
            self.left -= seconds


class TimedPattern:
    """A regular expression that may come from anyone. Thread-safe.

    Args:
        text: The expression, as for Python's `re`.
        ignore_case: True to ignore case.
        time: The time for all searches; None for `PATTERN_SECONDS`.

    Raises:
        PatternError: It is no regular expression, or a too large one.
    """

    def __init__(self, text: Any, *, ignore_case: bool = False, time: SearchTime | None = None) -> None:
        self._time = SearchTime() if time is None else time
        self._time.add_pattern()
        if not isinstance(text, str):
            raise PatternError("it is not a string")
        if len(text) > LONGEST_PATTERN:
            raise PatternError(f"it has more than {LONGEST_PATTERN:,} characters")
        repeats = 1
        for count in _REPEAT.findall(text):
            # More digits are too many in any case, and take long to convert.
            repeats *= max(1, int(count[:6]))
            if repeats > MOST_REPEATS:
                raise PatternError(f"its repeats multiply to more than {MOST_REPEATS:,}")
        # Imported here because it takes longer than most commands have patterns for.
        import regex

        try:
            self._pattern = regex.compile(text, regex.IGNORECASE if ignore_case else 0)
        except regex.error as error:
            raise PatternError(str(error)) from None
        except RecursionError:
            raise PatternError("its groups are nested too deeply") from None

    def search(self, text: str) -> bool:
        """Returns True if the expression matches anywhere in a text.

        Args:
            text: The text.

        Raises:
            PatternError: The searches have taken too long.
        """
        return self._timed(self._pattern.search, text)

    def fullmatch(self, text: str) -> bool:
        """Returns True if the expression matches a whole text.

        Args:
            text: The text.

        Raises:
            PatternError: The searches have taken too long.
        """
        return self._timed(self._pattern.fullmatch, text)

    def _timed(self, method: Any, text: str) -> bool:
        if self._time.left <= 0:
            raise self._expired()
        started = monotonic()
        try:
            # `concurrent` releases the GIL, so that a long search does not stop other threads.
            return method(text, timeout=self._time.left, concurrent=True) is not None
        except TimeoutError:
            raise self._expired() from None
        finally:
            self._time.spend(monotonic() - started)

    def _expired(self) -> PatternError:
        return PatternError(
            f"its search takes longer than {self._time.allowed:g} s: simplify it, nested repeats above all"
        )
