"""Finds what there is to serve under the paths given, and nothing beyond them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from histscan.sources.wandb_log import LOG_SUFFIXES

__all__ = ["FoundExport", "FoundLog", "find_runs"]

EXPORT_SUFFIX = ".parquet"
# How wandb names the files that it downloads: entity, project and run, then the file's number.
_EXPORT_NAME = re.compile(r"(?P<run>.+)_\d+\.runhistory\.parquet")


@dataclass(frozen=True)
class FoundLog:
    """A ``.wandb`` log.

    Attributes:
        path: The file, without links on the way.
    """

    path: Path


@dataclass(frozen=True)
class FoundExport:
    """The Parquet files of one run.

    Attributes:
        name: What their names, or the folder's name, say of the run.
        paths: The files, without links on the way.
    """

    name: str
    paths: tuple[Path, ...]


def find_runs(given: Path, warn: Callable[[str], None]) -> Iterator[FoundLog | FoundExport]:
    """Finds the runs that a path means.

    Args:
        given: A file, or a folder that is searched with all that is below it. Links to folders are not followed.
        warn: Told of each file that is left out because it lies elsewhere.

    Yields:
        The runs, in the order of their paths.

    Raises:
        FileNotFoundError: There is nothing at the path.
    """
    root = given.resolve(strict=True)
    if not root.is_dir():
        if root.suffix == EXPORT_SUFFIX:
            yield FoundExport(_run_name(root), (root,))
        else:
            yield FoundLog(root)
        return
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        exports: dict[str, list[Path]] = {}
        for name in sorted(names):
            if not name.endswith((*LOG_SUFFIXES, EXPORT_SUFFIX)):
                continue
            path = Path(folder, name)
            file = path.resolve()
            if not file.is_relative_to(root):
                warn(f"{path} is a link to {file}, which is not in {root}: it is not served")
            elif not file.is_file():
                continue
            elif name.endswith(LOG_SUFFIXES):
                yield FoundLog(file)
            else:
                named = _EXPORT_NAME.fullmatch(name)
                exports.setdefault(named["run"] if named else Path(folder).name, []).append(file)
        for name, files in exports.items():
            yield FoundExport(name, tuple(files))


def _run_name(path: Path) -> str:
    named = _EXPORT_NAME.fullmatch(path.name)
    return named["run"] if named else path.stem
