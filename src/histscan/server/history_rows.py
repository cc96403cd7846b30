"""The encoded rows of a run, so that a page of a response is a slice.

Each row is JSON already: a JSON string that contains its text for ``history``, or an object for ``sampledHistory``. All
rows are in one buffer, each followed by a comma, so a page of consecutive rows is copied in one piece.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from itertools import accumulate

from histscan.runs.sampling import even_places
from histscan.server.work import cancellable, check_cancelled

__all__ = ["HistoryRows", "RowCache"]

MOST_CACHED = 20_000
CHECK_ROWS = 256
"""Rows that are encoded between two checks whether the work is cancelled."""


class HistoryRows:
    """The rows of a run, or of some keys of a run, ordered by step.

    Args:
        rows: The step and the text of each row; rows of the same step keep their order.

    Attributes:
        steps: The rows' steps, ascending.
    """

    def __init__(self, rows: Iterable[tuple[int, bytes]]) -> None:
        steps, starts, buffer = array("q"), array("Q"), bytearray()
        is_sorted = True
        for step, text in cancellable(rows, CHECK_ROWS):
            is_sorted = is_sorted and (not steps or step >= steps[-1])
            steps.append(step)
            starts.append(len(buffer))
            # Copy at once: orjson returns a short text in a large memory block.
            buffer += text
            buffer += b","
        starts.append(len(buffer))
        self.steps, self._starts, self._texts = steps, starts, memoryview(buffer).toreadonly()
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
        """The memory that the rows take, in bytes."""
        return len(self._texts) + 8 * (len(self.steps) + len(self._starts))

    def window(self, min_step: int | None, stop_step: int | None) -> range:
        """Finds the rows of a range of steps.

        Args:
            min_step: The first step, inclusive; None for the beginning.
            stop_step: The step to stop at, exclusive; None for the end.

        Returns:
            The indexes of the rows.
        """
        first = 0 if min_step is None else bisect_left(self.steps, min_step)
        end = len(self.steps) if stop_step is None else bisect_left(self.steps, stop_step)
        return range(first, max(first, end))

    def texts(self, window: range, samples: int | None) -> bytes | memoryview:
        """Joins the texts of rows.

        Args:
            window: The indexes of the rows, from `window`.
            samples: The maximum number of rows; more are sampled evenly, with the first and the last. None for all.

        Returns:
            The texts, separated by commas. Consecutive rows are not copied.
        """
        if samples is None or len(window) <= samples:
            return self._texts[self._starts[window.start] : self._starts[window.stop] - 1] if window else b""
        return b",".join(self._text(window[place]) for place in even_places(len(window), samples))

    def _text(self, index: int) -> bytes:
        return bytes(self._texts[self._starts[index] : self._starts[index + 1] - 1])


class RowCache:
    """An LRU cache of the rows of several runs, bounded by memory. Thread-safe.

    Args:
        limit: The maximum size in bytes. The rows used last always stay, however large they are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._rows: OrderedDict[Hashable, HistoryRows] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}
        self._lock = threading.Lock()
        self._building: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, build: Callable[[], HistoryRows], *, key_size: int = 0) -> HistoryRows:
        """Returns the rows of a key, and builds them if they are not cached.

        Args:
            key: Identifies the rows; it must differ between versions of a file.
            build: Builds the rows. Never called by two threads at once for the same key.
            key_size: The memory that the key takes, in bytes.

        Returns:
            The rows.
        """
        with self._lock:
            found = self._find(key)
            if found is not None:
                return found
            building = self._building.setdefault(key, threading.Lock())
        with building:
            check_cancelled()
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
                self._keep(key, rows, rows.size + key_size)
            return rows

    def discard(self, key: Hashable) -> None:
        """Removes the rows of a key, if they are cached.

        Args:
            key: Identifies the rows.
        """
        with self._lock:
            self._size -= self._sizes.pop(key, 0)
            self._rows.pop(key, None)

    def _find(self, key: Hashable) -> HistoryRows | None:
        rows = self._rows.get(key)
        if rows is not None:
            self._rows.move_to_end(key)
        return rows

    def _keep(self, key: Hashable, rows: HistoryRows, size: int) -> None:
        self._rows.pop(key, None)
        self._rows[key] = rows
        self._size += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        # Rows of keys that no row has are empty, and would never exceed the limit by their size.
        while (self._size > self._limit or len(self._rows) > MOST_CACHED) and len(self._rows) > 1:
            dropped, _ = self._rows.popitem(last=False)
            self._size -= self._sizes.pop(dropped)
