"""Compressed files, as the library of each Python compresses them."""

from __future__ import annotations

import sys

import pytest

# Python has it from 3.14 on.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def zstd_compress(data: bytes) -> bytes:
    """Compresses bytes with zstd; skips the test if nothing is installed that can."""
    return bytes(pytest.importorskip(_ZSTD).compress(data))
