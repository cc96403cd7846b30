"""Finds the run that a log belongs to, from the run record near its beginning, and sorts the logs of one run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histscan._core.pages.log_reader import BLOCK_SIZE, FILE_HEADER, LogReader
from histscan.common.quiet import quiet
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.runs.log_pages import read_pages
from histscan.sources.files import read_range

__all__ = ["RUN_FIELD", "LogHead", "begins_as_log", "order_segments", "read_head", "read_run_record"]

RUN_FIELD = 17
"""The number of the run's field in wandb's `Record`."""

# wandb's names of run folders: `run-20260131_120000-abc`, `offline-run-…`.
_RUN_FOLDER = re.compile(r"(?:offline-)?run-(?P<time>\d{8}_\d{6})-(?P<id>.+)")
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class LogHead:
    """A log and its run record.

    Attributes:
        file: The log.
        record: The first ``RunRecord``, which later ones repeat; an empty one if the log has none yet.
    """

    file: Path
    record: Any

    @property
    def run_id(self) -> str:
        """The run's id; if the log has none, the one in the folder's name."""
        folder = _RUN_FOLDER.fullmatch(self.file.parent.name)
        return str(self.record.run_id) or (folder["id"] if folder else self.file.name.partition(".")[0])

    @property
    def folder_time(self) -> str:
        """The start time in the folder's name, which is local time; empty if it has none."""
        folder = _RUN_FOLDER.fullmatch(self.file.parent.name)
        return folder["time"] if folder else ""

    def is_of_same_run(self, other: LogHead) -> bool:
        """Returns True if two logs may belong to one run: no name that both have differs.

        Args:
            other: The other log.
        """
        return self.run_id == other.run_id and all(
            not one or not two or one == two
            for one, two in (
                (self.record.entity, other.record.entity),
                (self.record.project, other.record.project),
            )
        )


def begins_as_log(file: Path) -> bool:
    """Returns True if a file begins as a log does that is not compressed.

    Args:
        file: The file.

    Raises:
        OSError: The file can't be read.
    """
    return read_range(file, 0, len(FILE_HEADER)) == FILE_HEADER


def read_run_record(message: bytes) -> Any:
    """Parses a run record.

    Args:
        message: The bytes of a ``RunRecord``.

    Returns:
        The message.

    Raises:
        HistoryDecodeError: They are malformed.
    """
    from google.protobuf.message import DecodeError

    from histscan.proto import RunRecord

    try:
        return RunRecord.FromString(message)
    except DecodeError as error:
        raise HistoryDecodeError(f"the record of the run is malformed, its rows can be read: {error}") from None


def read_head(file: Path, *, skip_corrupt: bool = False) -> LogHead:
    """Reads a log up to its run record.

    Args:
        file: The log.
        skip_corrupt: Skip corrupt parts, instead of stopping there.

    Returns:
        The log and the record.

    Raises:
        LogFormatError: The file is empty, or not a wandb log.
        OSError: The file can't be read.
    """
    reader = LogReader(skip_corrupt)
    # By blocks, because the record is in the first one unless the run's config is large.
    with quiet():  # the scan warns
        try:
            for page in read_pages(file, reader, window_size=BLOCK_SIZE):
                for message in page.records(RUN_FIELD):
                    return LogHead(file, read_run_record(message))
        except HistoryError as error:
            error.add_location(run=str(file))
            raise
    return LogHead(file, read_run_record(b""))


def order_segments(
    heads: Sequence[LogHead], given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
) -> list[LogHead]:
    """Sorts the logs of one run by their start.

    Args:
        heads: The logs.
        given: The path or paths that the caller passed, for errors.

    Returns:
        The logs.

    Raises:
        HistoryError: They belong to several runs.
    """
    # Names of folders have local time: the two kinds of times must not be compared with each other.
    by_record = all(head.record.HasField("start_time") for head in heads)
    ordered = sorted(
        heads,
        key=lambda head: (
            (head.record.start_time.seconds, head.record.start_time.nanos) if by_record else (0, 0),
            head.folder_time,
            str(head.file),
        ),
    )
    if all(head.is_of_same_run(ordered[0]) for head in ordered):
        return ordered
    by_run: dict[tuple[str, str, str], LogHead] = {}
    for head in sorted(heads, key=lambda head: head.file):
        by_run.setdefault((head.record.entity, head.record.project, head.run_id), head)
    folder = given if isinstance(given, str | os.PathLike) else None
    names = [
        str(head.file if folder is None or not head.file.is_relative_to(folder) else head.file.relative_to(folder))
        for head in by_run.values()
    ]
    shown = ", ".join(names[:_NAMES_SHOWN]) + (f" and {len(names) - _NAMES_SHOWN} more" if names[_NAMES_SHOWN:] else "")
    raise HistoryError(
        f"{'the list' if folder is None else repr(os.fspath(folder))} holds {len(names)} different runs ({shown}): "
        "pass the path of one run, or open all of them with histscan.open_runs(). Several logs are one run if they "
        "have one id, as those of a resumed run do"
    )
