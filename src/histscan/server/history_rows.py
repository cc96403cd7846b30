"""The rows of a run in the form in which they are sent, so that a page is a slice.

Every row is JSON already: its text as a JSON string for ``history``, or as an object for ``sampledHistory``. All of
them lie behind one another, each with a comma, and a page of consecutive rows is copied out in one piece.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from itertools import accumulate

from histscan.runs.sampling import even_places

__all__ = ["HistoryRows", "RowCache"]


class HistoryRows:
    """The rows of a run, or of some keys of a run, ordered by step.

    Args:
        rows: Step and text of each row; rows of one step keep their order.

    Attributes:
        steps: The rows' steps, ascending.
    """

    def __init__(self, rows: Iterable[tuple[int, bytes]]) -> None:
        steps, starts, buffer = array("q"), array("Q"), bytearray()
        is_sorted = True
        for step, text in rows:
            is_sorted = is_sorted and (not steps or step >= steps[-1])
            steps.append(step)
            starts.append(len(buffer))
            # Copied at once: what orjson returns is a small text in a large block of memory.
            buffer += text
            buffer += b","
        starts.append(len(buffer))
        self.steps, self._starts, self._texts = steps, starts, memoryview(buffer)
        if not is_sorted:
            self._sort()

    def _sort(self) -> None:
        order = sorted(range(len(self.steps)), key=self.steps.__getitem__)
        texts = b",".join([*(self._text(index) for index in order), b""])
        self.steps = array("q", (self.steps[index] for index in order))
        lengths = (self._starts[index + 1] - self._starts[index] for index in order)
        self._starts = array("Q", accumulate(lengths, initial=0))
        self._texts = memoryview(texts)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def size(self) -> int:
        """Bytes that the rows take in memory."""
        return len(self._texts) + 8 * (len(self.steps) + len(self._starts))

    def window(self, min_step: int | None, stop_step: int | None) -> range:
        """Finds the rows of a range of steps.

        Args:
            min_step: First step, inclusive; None for the beginning.
            stop_step: Step to stop at, exclusive; None for the end.

        Returns:
            The rows' indexes.
        """
        first = 0 if min_step is None else bisect_left(self.steps, min_step)
        end = len(self.steps) if stop_step is None else bisect_left(self.steps, stop_step)
        return range(first, max(first, end))

    def texts(self, window: range, samples: int | None) -> bytes:
        """Joins the texts of rows.

        Args:
            window: Which rows, from `window`.
            samples: How many of them at most; more are sampled down evenly, first and last row included. None for all.

        Returns:
            The texts with commas in between, without a comma at the end.
        """
        if samples is None or len(window) <= samples:
            return bytes(self._texts[self._starts[window.start] : self._starts[window.stop] - 1]) if window else b""
        return b",".join(self._text(window[place]) for place in even_places(len(window), samples))

    def _text(self, index: int) -> bytes:
        return bytes(self._texts[self._starts[index] : self._starts[index + 1] - 1])


class RowCache:
    """Rows of several runs, of which those longest unused go when they take too much memory together.

    Args:
        limit: Bytes that the rows may take. Those used last stay, however large they are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._rows: OrderedDict[Hashable, HistoryRows] = OrderedDict()
        self._lock = threading.Lock()
        self._building: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, build: Callable[[], HistoryRows]) -> HistoryRows:
        """Returns the rows of a key, which are built when they are not there.

        Args:
            key: What the rows are of; different for different versions of a file.
            build: Builds them. Never runs twice at a time for one key.

        Returns:
            The rows.
        """
        with self._lock:
            found = self._find(key)
            if found is not None:
                return found
            building = self._building.setdefault(key, threading.Lock())
        with building:
            with self._lock:
                found = self._find(key)
            if found is not None:
                return found
            try:
                rows = build()
            finally:
                with self._lock:
                    self._building.pop(key, None)
            with self._lock:
                self._keep(key, rows)
            return rows

    def discard(self, key: Hashable) -> None:
        """Drops the rows of a key, if there are any.

        Args:
            key: What the rows are of.
        """
        with self._lock:
            dropped = self._rows.pop(key, None)
            self._size -= 0 if dropped is None else dropped.size

    def _find(self, key: Hashable) -> HistoryRows | None:
        rows = self._rows.get(key)
        if rows is not None:
            self._rows.move_to_end(key)
        return rows

    def _keep(self, key: Hashable, rows: HistoryRows) -> None:
        previous = self._rows.pop(key, None)
        self._size += rows.size - (0 if previous is None else previous.size)
        self._rows[key] = rows
        while self._size > self._limit and len(self._rows) > 1:
            _, dropped = self._rows.popitem(last=False)
            self._size -= dropped.size
