"""Counts the bytes that this process receives from servers, for progress bars."""

from __future__ import annotations

import threading

__all__ = ["RECEIVED", "ByteCounter"]


class ByteCounter:
    """A sum that any thread may add to. It has no lock, which a fork could leave held."""

    def __init__(self) -> None:
        # Each thread writes only its own number.
        self._by_thread: dict[int, int] = {}

    def add(self, count: int) -> None:
        """Adds bytes.

        Args:
            count: How many.
        """
        thread = threading.get_ident()
        self._by_thread[thread] = self._by_thread.get(thread, 0) + count

    @property
    def total(self) -> int:
        """The number of bytes so far."""
        return sum(list(self._by_thread.values()))


RECEIVED = ByteCounter()
"""The bytes of bodies that were received, after decompression."""
