"""The most memory and disk that one answer of a server, or one part of a file, may take.

A few megabytes can be decompressed to gigabytes, and a file can claim any number of rows. So every body and every row
group has a limit, which is far above ordinary ones: an argument, else an environment variable, else the default.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from histscan.errors import HistoryError

__all__ = ["MAX_ANSWER", "MAX_FILE", "MAX_ROW_GROUP", "Limit", "readable_size"]

_UNITS = ("", "K", "M", "G", "T")
_SIZE = re.compile(r"([0-9]{1,18})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


class Limit(NamedTuple):
    """A limit in bytes.

    Attributes:
        variable: The environment variable that sets it.
        default: The limit unless it is set.
    """

    variable: str
    default: int

    def find(self, given: int | None = None) -> int:
        """Returns the limit in bytes.

        Args:
            given: The argument of the caller; None for the environment's, else the default.

        Raises:
            HistoryError: The environment variable is not a size.
            ValueError: The argument is not positive.
        """
        if given is not None:
            if given <= 0:
                raise ValueError(f"a limit is a positive number of bytes, not {given!r}")
            return given
        text = os.environ.get(self.variable, "").strip()
        if not text:
            return self.default
        found = _SIZE.fullmatch(text)
        size = 0 if found is None else int(found[1]) << 10 * _UNITS.index(found[2].upper())
        if size == 0:
            raise HistoryError(f"{self.variable} is not a size such as 500M or 2G: {text[:40]!r}")
        return size


def _machine_memory() -> int:
    """Returns the machine's memory in bytes; a large number if the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 62


MAX_ANSWER = Limit("HISTSCAN_MAX_ANSWER", 512 << 20)
"""The body of an answer, and a line of a file, decompressed."""

MAX_FILE = Limit("HISTSCAN_MAX_FILE", 16 << 30)
"""A file that is downloaded."""

MAX_ROW_GROUP = Limit("HISTSCAN_MAX_ROW_GROUP", min(16 << 30, _machine_memory()))
"""The columns that are read of a row group of a Parquet file, and any part of a file that is held in memory."""


def readable_size(size: int) -> str:
    """Formats a limit for an error message, as environment variables take it.

    Args:
        size: The number of bytes.

    Returns:
        Such as ``512M``, ``16G`` or ``1234567``.
    """
    for power in range(len(_UNITS) - 1, 0, -1):
        if size >= 1 << 10 * power and size % (1 << 10 * power) == 0:
            return f"{size >> 10 * power}{_UNITS[power]}"
    return str(size)
