"""The registry of sources of runs in files: the paths that each accepts, and its class.

A new source is one entry here and the module that it names; see "Adding something" in ARCHITECTURE.md.
"""

from __future__ import annotations

import glob
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from histscan.errors import HistoryError
from histscan.sources.parquet_files import PARQUET_SUFFIX
from histscan.sources.wandb_log import LOG_SUFFIXES

if TYPE_CHECKING:
    from histscan.runs.file_run import FileRun

__all__ = ["SOURCES", "RunSource", "source_of"]


@dataclass(frozen=True)
class RunSource:
    """A kind of file that can contain a run.

    Attributes:
        kind: The name of the kind in errors.
        suffixes: The suffixes of the files.
        home: The class of the runs, a `FileRun`, as ``"module:name"``; it is imported when a run is opened.
        takes_folders: True if a folder with such files is a run.
    """

    kind: str
    suffixes: tuple[str, ...]
    home: str
    takes_folders: bool = True

    def takes(self, path: Path) -> bool:
        """Returns True if a file or folder, or a pattern by its name, is of this kind.

        Args:
            path: The path.
        """
        if path.is_dir():
            return self.takes_folders and any(file.name.endswith(self.suffixes) for file in path.iterdir())
        return path.name.endswith(self.suffixes)

    def run_class(self) -> type[FileRun]:
        """Imports the class of runs.

        Returns:
            The class.
        """
        return _import_class(self.home)


@cache
def _import_class(home: str) -> type[FileRun]:
    module, _, name = home.partition(":")
    found: type[FileRun] = getattr(importlib.import_module(module), name)
    return found


_LOGS = RunSource("logs", LOG_SUFFIXES, "histscan.runs.log_run:LogRun")
_PARQUET = RunSource("Parquet files", (PARQUET_SUFFIX,), "histscan.runs.parquet_run:ParquetRun")

SOURCES = (
    # In a folder with several kinds, the log comes first: other files were exported from it.
    _LOGS,
    _PARQUET,
    RunSource(
        "JSON Lines files",
        tuple(name + packed for name in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst")),
        "histscan.runs.jsonl_run:JsonlRun",
        takes_folders=False,
    ),
)


def source_of(paths: Sequence[Path]) -> RunSource:
    """Finds the source of paths.

    Args:
        paths: Files, folders or patterns of one run.

    Returns:
        The source.

    Raises:
        FileNotFoundError: The list is empty.
        HistoryError: The paths are of several kinds.
    """
    if not paths:
        raise FileNotFoundError("there are no files to open: the list of paths is empty")
    found = list(dict.fromkeys(map(_source_of, paths)))
    if len(found) > 1:
        kinds = " and ".join(source.kind for source in found)
        raise HistoryError(f"the list has both {kinds}: pass files of one kind, of one run")
    return found[0]


def _source_of(path: Path) -> RunSource:
    source = _first_that_takes([path])
    if source is not None:
        return source
    if path.exists() or not glob.has_magic(str(path)):
        # A file of any name may be a log, and a folder may contain folders of logs. Reading it raises any error.
        return _LOGS
    return _first_that_takes([Path(match) for match in glob.iglob(str(path), recursive=True)]) or _PARQUET


def _first_that_takes(paths: Sequence[Path]) -> RunSource | None:
    return next((source for source in SOURCES if any(map(source.takes, paths))), None)
