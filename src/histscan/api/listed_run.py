"""What a server has said of a run, and what follows from it without another request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from histscan.api.history_keys import read_keys
from histscan.api.scan_start import ScanStart

__all__ = ["ListedRun"]

# For estimates of sizes: a value and its key as JSON text.
_BYTES_PER_VALUE = 20
_LIKELY_KEYS = 10


class ListedRun:
    """What a server has said of a run. Answers are replaced, never changed, so that threads may share them.

    Args:
        answer: The run in an answer of the server; empty if there was none yet.

    Attributes:
        answer: The last description.
        seen_stop: The step after the highest one that the server has named; None if it has named none. Histories only
            grow.
        key_count: The number of keys of the history; 0 if unknown.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = dict(answer)
        self.seen_stop: int | None = None
        self.key_count = 0
        self._keys_answer: Mapping[str, Any] | None = None

    def describe(self, answer: Mapping[str, Any]) -> None:
        """Replaces the description.

        Args:
            answer: The run in an answer of the server.
        """
        self.answer = dict(answer)

    @property
    def is_described(self) -> bool:
        """True if config and summary came with the description."""
        return "config" in self.answer

    @property
    def row_count(self) -> int | None:
        """The number of rows of the history when the run was listed; None if unknown."""
        count = self.answer.get("historyLineCount")
        return count if isinstance(count, int) else None

    @property
    def history_bytes(self) -> int:
        """An estimate of the bytes of answers with the whole history; 0 if nothing is known of it."""
        rows = self.row_count if self.row_count is not None else self.seen_stop or 0
        return rows * (self.key_count or _LIKELY_KEYS) * _BYTES_PER_VALUE

    def listed_keys(self) -> list[tuple[str, str, int | None]]:
        """Returns the keys that came with the description: each with its type, and the number of its values if known.

        Raises:
            ResponseShapeError: The answer has another shape.
        """
        return read_keys(self.answer)

    def set_keys(self, answer: Mapping[str, Any]) -> None:
        """Notes the types of keys, for the next call of `take_keys`.

        Args:
            answer: The run in an answer of the server, with ``historyKeys``.
        """
        self._keys_answer = answer

    @property
    def has_keys(self) -> bool:
        """True if `take_keys` has an answer."""
        return self._keys_answer is not None

    def take_keys(self) -> Mapping[str, Any] | None:
        """Returns the answer of `set_keys` once; None if there is none."""
        answer, self._keys_answer = self._keys_answer, None
        return answer

    def see_step(self, step: int) -> None:
        """Notes a step that the server has named.

        Args:
            step: The step; -1 if there are no rows.
        """
        self.seen_stop = max(self.seen_stop or 0, step + 1)

    def fits_one_page(self, page_size: int = 1000) -> bool:
        """Returns True if the run had no more rows than a page when it was listed: one request reads all of it.

        Args:
            page_size: Steps of a page.
        """
        return self.row_count is not None and self.row_count <= page_size

    def needs_few_pages(self, first: int, max_step: int | None, page_size: int = 1000) -> bool:
        """Returns True if it is known without a request that pages are the cheapest source of some steps.

        Args:
            first: The first step.
            max_step: The step to stop at, exclusive; None for the end of the history.
            page_size: Steps of a page.
        """
        if max_step is None or self.seen_stop is None or max_step > self.seen_stop:
            return False
        return ScanStart(self.seen_stop - 1, None).fits_few_pages(first, max_step, page_size)
