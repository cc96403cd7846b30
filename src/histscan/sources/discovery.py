"""Finds the logs and Parquet files under the given paths, and nothing outside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from histscan.sources.wandb_log import LOG_SUFFIXES

__all__ = ["FoundLog", "FoundParquet", "find_runs"]

PARQUET_SUFFIX = ".parquet"
# The names that wandb gives to downloaded files: entity, project and run, then the file's number.
_PARQUET_NAME = re.compile(r"(?P<run>.+)_\d+\.runhistory\.parquet")


@dataclass(frozen=True)
class FoundLog:
    """A ``.wandb`` log.

    Attributes:
        path: The file, with links resolved.
    """

    path: Path


@dataclass(frozen=True)
class FoundParquet:
    """The Parquet files of one run.

    Attributes:
        name: The run's name, from the names of the files or of their folder.
        paths: The files, with links resolved.
    """

    name: str
    paths: tuple[Path, ...]


def find_runs(given: Path, warn: Callable[[str], None]) -> Iterator[FoundLog | FoundParquet]:
    """Finds the runs at a path.

    Args:
        given: A file, or a folder that is searched recursively. Links to folders are not followed.
        warn: Called with a message for each link that is skipped because it leads out of the folder.

    Yields:
        The runs, in the order of their paths.

    Raises:
        FileNotFoundError: The path does not exist.
    """
    root = given.resolve(strict=True)
    if not root.is_dir():
        if root.suffix == PARQUET_SUFFIX:
            yield FoundParquet(_run_name(root.name, root.stem), (root,))
        else:
            yield FoundLog(root)
        return
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        parquet_files: dict[str, list[Path]] = {}
        for name in sorted(names):
            if not name.endswith((*LOG_SUFFIXES, PARQUET_SUFFIX)):
                continue
            path = Path(folder, name)
            file = path
            # The folders are no links, so that a file that is none has its real path.
            if path.is_symlink():
                file = path.resolve()
                if not file.is_relative_to(root):
                    warn(f"{path} is skipped: it is a link to {file}, which is not in {root}")
                    continue
            if not file.is_file():
                continue
            if name.endswith(LOG_SUFFIXES):
                yield FoundLog(file)
            else:
                parquet_files.setdefault(_run_name(name, Path(folder).name), []).append(file)
        for name, files in parquet_files.items():
            yield FoundParquet(name, tuple(files))


def _run_name(file_name: str, default: str) -> str:
    named = _PARQUET_NAME.fullmatch(file_name)
    return named["run"] if named else default
