"""Runs in files: logs and Parquet histories in folders, each opened when it is needed."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from histscan.common.printable import printable
from histscan.errors import HistoryError, RunSkippedWarning
from histscan.many.members import Member
from histscan.many.mirrors.mirrored_runs import MirroredFiles
from histscan.many.mirrors.state import is_mirror
from histscan.many.runs import Runs
from histscan.runs.file_run import FileRun
from histscan.runs.log_heads import LogHead, read_head
from histscan.runs.registry import RunSource, source_of
from histscan.sources.discovery import FoundLog, FoundParquet, find_runs
from histscan.sources.parquet_files import PARQUET_SUFFIX
from histscan.sources.wandb_log import LOG_SUFFIXES, is_log_name

__all__ = ["LocalRuns", "RunPaths", "find_local_runs"]

RunPaths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file or a pattern; or several of them."""

_LOGS, _PARQUET = (source_of([Path(f"any{suffix}")]) for suffix in (LOG_SUFFIXES[0], PARQUET_SUFFIX))

# The names that wandb gives to logs.
_LOG_NAME = re.compile(r"run-(?P<id>.+)\.wandb(\.gz|\.zst)?")


@dataclass(frozen=True)
class RunFiles:
    """The files of one run.

    Attributes:
        source: What kind of files they are.
        files: The files; several logs are the segments of a resumed run.
        run: The run, if it can be made without reading the files.
    """

    source: RunSource
    files: tuple[Path, ...]
    run: FileRun | None = None

    def size(self) -> int:
        """Returns the number of bytes in the files that can be read."""
        size = 0
        for file in self.files:
            with suppress(OSError):
                size += os.stat(file).st_size
        return size


class LocalRuns(Runs[FileRun]):
    """Runs in files; made by `histscan.open_runs`. A run's files are not read before the run is used.

    Args:
        found: The files of each run, in the order of the runs.
        location: Where they were found.
        on_corrupt: What to do at corrupt bytes of a log: ``"raise"`` or ``"skip"``.
    """

    def __init__(self, found: Sequence[RunFiles], location: str, on_corrupt: str = "raise") -> None:
        self._found = list(found)
        self._location = location
        self._on_corrupt = on_corrupt
        self._opened: dict[int, FileRun] = {}

    def __iter__(self) -> Iterator[FileRun]:
        for place in range(len(self._found)):
            yield self._run_at(place)

    def __len__(self) -> int:
        return len(self._found)

    def _run_at(self, place: int) -> FileRun:
        if place < 0:
            place += len(self._found)
        if not 0 <= place < len(self._found):
            raise IndexError(f"there is no run {place}: there are {len(self._found)}")
        run = self._opened.get(place) or self._found[place].run
        if run is None:
            found = self._found[place]
            # Threads that open the same run at once get the same object.
            run = found.source.run_class().open_found(found.files, on_corrupt=self._on_corrupt)
            run = self._opened.setdefault(place, run)
        return run

    def members(self) -> Iterator[Member]:
        """See `Runs.members`."""
        for place, found in enumerate(self._found):
            yield Member(partial(self._run_at, place), str(found.files[0]), found.size())

    @property
    def location(self) -> str:
        """Where the runs were found."""
        return f"{len(self._found):,} runs in {self._location}"


def find_local_runs(where: RunPaths, *, on_corrupt: str = "raise") -> LocalRuns:
    """Finds the runs in files.

    Args:
        where: A folder, which is searched recursively; a file; a pattern (``"wandb/run-2026*"``); or a list of these.
        on_corrupt: As for `histscan.open`.

    Returns:
        The runs, in the order of the list, and in a folder in that of their paths. The logs of a resumed run are one
        run. So are Parquet files with the names that W&B gives to exports of one run; every other Parquet file is a run
        of its own.

    Raises:
        FileNotFoundError: There is no such file, or none in the folder.
        HistoryError: A log can't be read whose run has several logs.

    Warns:
        RunSkippedWarning: A link leads out of the folder.
    """
    given = [where] if isinstance(where, str | os.PathLike) else list(where)
    if not given:
        raise FileNotFoundError("there are no files to open: the list of paths is empty")
    mirrors = MirroredFiles()
    if len(given) == 1 and is_mirror(given[0]):
        # In the order in which they were mirrored.
        mirrored = [RunFiles(_PARQUET, (run.file,), run) for run in mirrors.runs_of(Path(given[0]))]
        return LocalRuns(mirrored, repr(os.fspath(given[0])), on_corrupt)
    places: dict[Path, int] = {}
    logs: list[Path] = []
    runs: list[RunFiles] = []
    for path in dict.fromkeys(match for item in given for match in _matches(Path(item))):
        for found in find_runs(path, _warn):
            files = (found.path,) if isinstance(found, FoundLog) else found.paths
            is_new = files[0] not in places
            for file in files:
                places.setdefault(file, len(places))
            if not is_new:
                continue
            if isinstance(found, FoundParquet):
                runs.extend(_parquet_runs(found, mirrors))
            elif is_log_name(found.path.name):
                logs.append(found.path)
            else:
                runs.append(RunFiles(source_of(files), files))
    runs.extend(_join_segments(logs))
    location = repr(os.fspath(where)) if isinstance(where, str | os.PathLike) else f"{len(given)} paths"
    if not runs:
        raise FileNotFoundError(f"{location} has no run: no .wandb log and no {PARQUET_SUFFIX} file")
    # A run of several files has the place of the first one.
    runs.sort(key=lambda run: min(places[file] for file in run.files))
    return LocalRuns(runs, location, on_corrupt)


def _matches(path: Path) -> list[Path]:
    """Returns the files and folders that a path stands for."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    found = sorted(Path(match) for match in glob.iglob(str(path), recursive=True))
    if not found:
        raise FileNotFoundError(f"no file and no folder matches the pattern {str(path)!r}")
    # `latest-run` is a link to one of the others.
    return [match for match in found if (match.is_dir() and not match.is_symlink()) or match.is_file()]


def _parquet_runs(found: FoundParquet, mirrors: MirroredFiles) -> Iterator[RunFiles]:
    """Yields the runs of Parquet files in one folder."""
    if mirrors.folder_of(found.paths[0]) is not None:
        runs = filter(None, map(mirrors.run_of, found.paths))
        yield from (RunFiles(_PARQUET, (run.file,), run) for run in runs)
        return
    named = [file for file in found.paths if file.name.startswith(f"{found.name}_")]
    if named and len(named) == len(found.paths):
        yield RunFiles(source_of(found.paths), found.paths)
        return
    for file in found.paths:
        yield RunFiles(source_of([file]), (file,))


def _join_segments(logs: Sequence[Path]) -> Iterator[RunFiles]:
    """Joins the logs of resumed runs. Logs with the same names and start time are copies: the first one is used."""
    by_id: dict[str, list[Path]] = {}
    for log in logs:
        by_id.setdefault(_id_of(log), []).append(log)
    for files in by_id.values():
        if len(files) == 1:
            yield RunFiles(_LOGS, tuple(files))
            continue
        groups: list[list[LogHead]] = []
        for head in map(read_head, files):
            group = next((group for group in groups if group[0].is_of_same_run(head)), None)
            if group is None:
                groups.append([head])
            elif not any(_start(head) == _start(other) for other in group):
                group.append(head)
        for group in groups:
            segments = tuple(head.file for head in group)
            yield RunFiles(_LOGS, segments)


def _id_of(log: Path) -> str:
    """Returns the id of a log's run: from its name, and only from its contents if wandb did not name it."""
    named = _LOG_NAME.fullmatch(log.name)
    if named is not None:
        return named["id"]
    try:
        return read_head(log).run_id
    except (HistoryError, OSError):
        # Opening the run raises the error.
        return str(log)


def _start(head: LogHead) -> tuple[int, int]:
    return int(head.record.start_time.seconds), int(head.record.start_time.nanos)


def _warn(message: str) -> None:
    warnings.warn(printable(message), RunSkippedWarning, stacklevel=4)
