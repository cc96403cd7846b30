"""What the server knows of a run, whatever the run is stored in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.server.history_rows import HistoryRows

if TYPE_CHECKING:
    from histscan.server.run_files import RunFile

__all__ = ["Export", "FileVersion", "RunDescription", "RunDetails", "RunKey", "ServedRun"]


class RunKey(NamedTuple):
    """The names that a run is asked for by.

    Attributes:
        entity: The user or team.
        project: The project.
        id: The run's id.
    """

    entity: str
    project: str
    id: str


class FileVersion(NamedTuple):
    """Identifies one version of a file, or of several that belong together.

    Attributes:
        inodes: The files' numbers in their file system.
        size: Bytes of all.
        modified: Time of the last change, in nanoseconds.
    """

    inodes: tuple[int, ...]
    size: int
    modified: int

    @classmethod
    def of(cls, *paths: Path) -> FileVersion:
        """Looks at files.

        Args:
            paths: The files; at least one.

        Returns:
            Their version.

        Raises:
            OSError: A file can't be looked at.
        """
        statuses = [path.stat() for path in paths]
        return cls(
            tuple(status.st_ino for status in statuses),
            sum(status.st_size for status in statuses),
            max(status.st_mtime_ns for status in statuses),
        )

    def extends(self, other: FileVersion) -> bool:
        """Returns True if this may be the same file, with something appended.

        Args:
            other: An earlier version.
        """
        return self.inodes == other.inodes and self.size >= other.size


@dataclass(frozen=True)
class RunDescription:
    """What a run says of itself when it begins; quick to read.

    Attributes:
        name: The display name.
        created_at: When the run began.
        tags: The tags.
        group: The group; empty if there is none.
        job_type: The job type; empty if there is none.
        notes: The notes; empty if there are none.
        host: The machine that the run ran on; empty if it is not known.
    """

    name: str
    created_at: datetime
    tags: Sequence[str] = ()
    group: str = ""
    job_type: str = ""
    notes: str = ""
    host: str = ""


@dataclass(frozen=True)
class RunDetails:
    """What has become of a run, without its history; the whole of it may have to be read for that.

    Attributes:
        state: ``finished``, ``failed``, ``crashed`` or ``running``.
        heartbeat_at: When the run last wrote something.
        config: The configuration.
        summary: The summary.
        last_step: The highest step of the history; -1 without rows.
        row_count: Rows of the history.
        key_types: The history's keys, dotted where they are nested, and what their values are: ``number``,
            ``string``, ``boolean``, ``list``, ``nil`` or ``other``.
        exit_code: What the run ended with; None if it has not ended, or it is not known.
        metadata: What ran, by the names of `histscan.LogRun.metadata`; empty if it is not known.
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
class Export:
    """The part of a history that is exported as Parquet.

    Attributes:
        files: The files, ordered by step.
        live_from: The first step that is in none of them; None if they hold the whole history.
    """

    files: Sequence[Path]
    live_from: int | None


class ServedRun(ABC):
    """A run that the server answers for. Its methods are called by several threads at a time.

    Args:
        key: Its names.

    Attributes:
        key: Its names.
        is_named: They are its own, and will not change.
    """

    is_named = True

    def __init__(self, key: RunKey) -> None:
        self.key = key

    @abstractmethod
    def description(self) -> RunDescription:
        """Describes the run.

        Raises:
            HistoryError: The run can't be read.
            OSError: Its file can't be read.
        """

    @abstractmethod
    def details(self) -> RunDetails:
        """Describes the run's state.

        Raises:
            HistoryError: The run can't be read.
            OSError: Its file can't be read.
        """

    @abstractmethod
    def rows(self, keys: tuple[str, ...] | None, stop_step: int | None) -> HistoryRows:
        """The run's history, in the form in which it is sent.

        Args:
            keys: Rows as objects that have all of these keys, and of them only these; None for all rows, as strings.
            stop_step: Rows from here on are not wanted, and need not be there; None for the end.

        Raises:
            HistoryError: The history can't be read.
            OSError: Its file can't be read.
        """

    def system_rows(self) -> HistoryRows:
        """The metrics of the machine, as strings like the history's rows, numbered instead of stepped; may be empty.

        Raises:
            HistoryError: They can't be read.
            OSError: The run's file can't be read.
        """
        return HistoryRows(())

    def system_summary(self) -> Mapping[str, Any]:
        """The last value of each metric of the machine; empty where they are not known.

        Raises:
            HistoryError: They can't be read.
            OSError: The run's file can't be read.
        """
        return {}

    def files(self) -> Sequence[RunFile]:
        """The files that the run saved; none where they are not known."""
        return ()

    @abstractmethod
    def export(self) -> Export:
        """The run's history as Parquet files, which are made if need be.

        Raises:
            HistoryError: The history can't be read.
            OSError: A file can't be read or written.
        """
