"""Counts the bytes that are read of files."""

from __future__ import annotations

import os
from typing import Any

import pytest


def count_reads(patch: pytest.MonkeyPatch) -> list[int]:
    """Counts what is read of files at positions.

    Returns:
        The number of bytes of each call from now on.
    """
    counts: list[int] = []
    pread, preadv = os.pread, os.preadv

    def counted(file: int, size: int, position: int) -> bytes:
        data = pread(file, size, position)
        counts.append(len(data))
        return data

    def counted_into(file: int, buffers: Any, position: int) -> int:
        counts.append(preadv(file, buffers, position))
        return counts[-1]

    patch.setattr(os, "pread", counted)
    patch.setattr(os, "preadv", counted_into)
    return counts
