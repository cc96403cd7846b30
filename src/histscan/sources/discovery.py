"""Finds the logs and Parquet files under the given paths, and nothing outside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
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
    folders = [os.fspath(root)]
    while folders:
        folder = folders.pop()
        files, subfolders = _list_folder(folder)
        folders.extend(sorted(subfolders, reverse=True))
        parquet_files: dict[str, list[Path]] = {}
        for entry in sorted(files, key=attrgetter("name")):
            file = Path(entry.path)
            # The folders are no links, so that a file that is none has its real path.
            if entry.is_symlink():
                link, file = file, file.resolve()
                if not file.is_relative_to(root):
                    warn(f"{link} is skipped: it is a link to {file}, which is not in {root}")
                    continue
            if not entry.is_file():
                continue
            if entry.name.endswith(LOG_SUFFIXES):
                yield FoundLog(file)
            else:
                parquet_files.setdefault(_run_name(entry.name, os.path.basename(folder)), []).append(file)
        for name, paths in parquet_files.items():
            yield FoundParquet(name, tuple(paths))


def _list_folder(folder: str) -> tuple[list[os.DirEntry[str]], list[str]]:
    """Returns the entries of a folder that are named as histories, and the paths of its subfolders."""
    files, subfolders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    subfolders.append(entry.path)
                elif entry.name.endswith((*LOG_SUFFIXES, PARQUET_SUFFIX)):
                    files.append(entry)
    except OSError:
        # Folders that may not be read are skipped.
        pass
    return files, subfolders


def _run_name(file_name: str, default: str) -> str:
    named = _PARQUET_NAME.fullmatch(file_name)
    return named["run"] if named else default
