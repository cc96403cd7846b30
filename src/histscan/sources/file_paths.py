"""Finds the files of a run on disk."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

__all__ = ["find_files"]

_DIGITS = re.compile(r"(\d+)")


def find_files(path: str | os.PathLike[str], *suffixes: str) -> list[Path]:
    """Finds the files that a path stands for.

    Args:
        path: A file, a folder with files, or a pattern such as ``history/*.parquet``.
        suffixes: The suffixes of the files in a folder; none if the path may not be a folder.

    Returns:
        The files, sorted by name in natural order: 10 comes after 9.

    Raises:
        FileNotFoundError: There are none.
    """
    given = Path(path)
    if suffixes and given.is_dir():
        found = [file for file in given.iterdir() if file.name.endswith(suffixes) and file.is_file()]
        missing = f"the folder {str(given)!r} contains no {' or '.join(suffixes)} file"
    elif not given.exists() and glob.has_magic(str(given)):
        found = [file for file in map(Path, glob.glob(str(given), recursive=True)) if file.is_file()]
        missing = f"no file matches the pattern {str(given)!r}"
    else:
        found = [given] if given.exists() else []
        missing = f"there is no file or folder {str(given)!r}"
    if not found:
        raise FileNotFoundError(missing)
    return sorted(found, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[str, int]]:
    parts = _DIGITS.split(str(path))
    return [(text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], "-1"], strict=True)]
