"""The interface of a served run, whatever it is stored in."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from histscan.server.history_rows import HistoryRows

if TYPE_CHECKING:
    from histscan.server.run_files import RunFile

__all__ = ["ExportedFiles", "FileVersion", "HistorySize", "RunDescription", "RunDetails", "RunKey", "ServedRun"]


class RunKey(NamedTuple):
    """The names that identify a run.

    Attributes:
        entity: The user or team.
        project: The project.
        id: The run's id.
    """

    entity: str
    project: str
    id: str


class FileVersion(NamedTuple):
    """Identifies one version of a file, or of several files that belong together.

    Attributes:
        inodes: The inode numbers of the files.
        size: The total size in bytes.
        modified: The time of the last change, in nanoseconds.
    """

    inodes: tuple[int, ...]
    size: int
    modified: int

    @classmethod
    def of(cls, *paths: Path) -> FileVersion:
        """Returns the current version of files.

        Args:
            paths: The files, with links resolved; at least one.

        Returns:
            The version.

        Raises:
            OSError: A file does not exist, can't be accessed, or is a link now.
        """
        statuses = [path.lstat() for path in paths]
        for path, status in zip(paths, statuses, strict=True):
            if stat.S_ISLNK(status.st_mode):
                raise FileNotFoundError(f"{path} was replaced by a link after it was found")
        return cls._of_statuses(statuses)

    @classmethod
    def of_open(cls, file: BinaryIO) -> FileVersion:
        """Returns the current version of an open file.

        Args:
            file: The file.

        Returns:
            The version.

        Raises:
            OSError: It can't be accessed.
        """
        return cls._of_statuses([os.fstat(file.fileno())])

    @classmethod
    def _of_statuses(cls, statuses: Sequence[os.stat_result]) -> FileVersion:
        return cls(
            tuple(status.st_ino for status in statuses),
            sum(status.st_size for status in statuses),
            max(status.st_mtime_ns for status in statuses),
        )

    @property
    def modified_at(self) -> datetime:
        """The time of the last change."""
        return datetime.fromtimestamp(self.modified / 1e9, timezone.utc)

    def extends(self, other: FileVersion) -> bool:
        """Returns True if this may be the same file with data appended.

        Args:
            other: An earlier version.
        """
        return self.inodes == other.inodes and self.size >= other.size


class HistorySize(NamedTuple):
    """The estimated size of a history, known without reading it.

    Attributes:
        rows: The number of rows.
        bytes: The size of all rows as JSON.
        is_exported: True if exported files have all rows.
    """

    rows: int
    bytes: int
    is_exported: bool = False


@dataclass(frozen=True)
class RunDescription:
    """The facts that a run logs at its start; quick to read.

    Attributes:
        name: The display name.
        created_at: The start time.
        tags: The tags.
        group: The group; may be empty.
        job_type: The job type; may be empty.
        notes: The notes; may be empty.
        host: The machine that the run ran on; empty if unknown.
        sweep: The id of the sweep that started the run; may be empty.
    """

    name: str
    created_at: datetime
    tags: Sequence[str] = ()
    group: str = ""
    job_type: str = ""
    notes: str = ""
    host: str = ""
    sweep: str = ""


@dataclass(frozen=True)
class RunDetails:
    """The current state and results of a run; computing them may read the whole run.

    Attributes:
        state: ``finished``, ``failed``, ``crashed`` or ``running``.
        heartbeat_at: The time of the run's last write.
        config: The configuration.
        summary: The summary.
        last_step: The highest step of the history; -1 without rows.
        row_count: The number of rows of the history.
        key_types: The type of each key's values: ``number``, ``string``, ``boolean``, ``list``, ``nil`` or ``other``.
            Nested keys are dotted.
        exit_code: The exit code; None if the run has not ended, or the code is unknown.
        metadata: The metadata with the names of `histscan.LogRun.metadata`; empty if unknown.
    """

    state: str
    heartbeat_at: datetime
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    last_step: int
    row_count: int
    key_types: Mapping[str, str]
    exit_code: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportedFiles:
    """The Parquet files that a history is exported to.

    Attributes:
        files: The files, ordered by step.
        live_from: The first step that is not in the files; None if they hold the whole history.
    """

    files: Sequence[Path]
    live_from: int | None


class ServedRun(ABC):
    """A run that the server serves. Its methods must be thread-safe.

    Args:
        key: The run's names.

    Attributes:
        key: The run's names.
        is_named: True if the names are final; False for a log that does not contain its names yet.
    """

    is_named = True

    def __init__(self, key: RunKey) -> None:
        self.key = key

    def is_current(self) -> bool:
        """Returns False if other files took the place of the run's: it must be found again."""
        return True

    def final_version(self) -> Hashable:
        """Identifies the run's state if only a change of its files can change it, else None. Takes little time."""
        return None

    @abstractmethod
    def description(self) -> RunDescription:
        """Describes the run.

        Raises:
            HistoryError: The run can't be read.
            OSError: Its file can't be read.
        """

    @abstractmethod
    def details(self) -> RunDetails:
        """Returns the run's state and results.

        Raises:
            HistoryError: The run can't be read.
            OSError: Its file can't be read.
        """

    @abstractmethod
    def history_size(self) -> HistorySize:
        """Estimates the size of the history without reading it. A file that can't be read has no rows."""

    @abstractmethod
    def rows(self, keys: tuple[str, ...] | None, stop_step: int | None) -> HistoryRows:
        """The run's history, encoded as it is sent.

        Args:
            keys: Only rows that have all of these keys, as objects with only these keys; None for all rows, as strings.
            stop_step: Rows from this step on may be left out; None for the end.

        Raises:
            HistoryError: The history can't be read.
            OSError: Its file can't be read.
        """

    def system_rows(self) -> HistoryRows:
        """The system metrics, as strings like the history's rows; row numbers take the place of steps. May be empty.

        Raises:
            HistoryError: They can't be read.
            OSError: The run's file can't be read.
        """
        return HistoryRows(())

    def system_summary(self) -> Mapping[str, Any]:
        """The last value of each system metric; empty if unknown.

        Raises:
            HistoryError: They can't be read.
            OSError: The run's file can't be read.
        """
        return {}

    def files(self) -> Sequence[RunFile]:
        """The files that the run saved; empty if unknown."""
        return ()

    @abstractmethod
    def exported_files(self) -> ExportedFiles:
        """The Parquet files of the run's history, which are written on the first call.

        Raises:
            HistoryError: The history can't be read.
            OSError: A file can't be read or written.
        """
