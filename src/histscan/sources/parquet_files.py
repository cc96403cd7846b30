"""Finds the Parquet files of a run on disk."""

from __future__ import annotations

import os
from pathlib import Path

from histscan.sources.file_paths import find_files

__all__ = ["PARQUET_SUFFIX", "find_parquet"]

PARQUET_SUFFIX = ".parquet"


def find_parquet(path: str | os.PathLike[str]) -> list[Path]:
    """Finds the Parquet files that a path stands for.

    Args:
        path: A file, a folder with ``.parquet`` files, or a pattern such as ``history/*.parquet``.

    Returns:
        The files, sorted by name in natural order: 10 comes after 9.

    Raises:
        FileNotFoundError: There are none.
    """
    return find_files(path, PARQUET_SUFFIX)
