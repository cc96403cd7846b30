"""Parquet files on disk: finding those of a run."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from histscan.sources.wandb_log import holds_log, is_log_name

__all__ = ["PARQUET_SUFFIX", "find_parquet", "means_parquet"]

PARQUET_SUFFIX = ".parquet"
_DIGITS = re.compile(r"(\d+)")
_WILDCARDS = re.compile(r"[*?[]")


def means_parquet(path: Path) -> bool:
    """Returns True if a path means Parquet files, by its name or by what the folder holds.

    Args:
        path: A file, a folder, or a pattern.

    Returns:
        False for a folder with a log: the log is the recording itself, and what is beside it was exported from it.
    """
    if path.is_dir():
        return not holds_log(path) and any(path.glob(f"*{PARQUET_SUFFIX}"))
    if path.suffix == PARQUET_SUFFIX or path.exists() or not _WILDCARDS.search(str(path)):
        return path.suffix == PARQUET_SUFFIX
    if is_log_name(path.name):
        return False
    matches = [Path(match) for match in glob.iglob(str(path), recursive=True)]
    return not any(holds_log(match) if match.is_dir() else is_log_name(match.name) for match in matches)


def find_parquet(path: str | os.PathLike[str]) -> list[Path]:
    """Finds the files that a path means.

    Args:
        path: A file, a folder with ``.parquet`` files in it, or a pattern such as ``history/*.parquet``.

    Returns:
        The files in the order of their names, in which 10 comes behind 9.

    Raises:
        FileNotFoundError: There is none.
    """
    given = Path(path)
    if given.is_dir():
        found = [file for file in given.glob(f"*{PARQUET_SUFFIX}") if file.is_file()]
        missing = f"the folder {str(given)!r} holds no {PARQUET_SUFFIX} file"
    elif not given.exists() and _WILDCARDS.search(str(given)):
        found = [file for file in map(Path, glob.glob(str(given), recursive=True)) if file.is_file()]
        missing = f"no file has a name like {str(given)!r}"
    else:
        found = [given] if given.exists() else []
        missing = f"there is no file or folder {str(given)!r}"
    if not found:
        raise FileNotFoundError(missing)
    return sorted(found, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[str, int]]:
    parts = _DIGITS.split(str(path))
    return [(text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], "-1"], strict=True)]
