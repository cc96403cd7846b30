"""Reads the logs of one run, one file or the segments of a resumed run, as one history."""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.common.quiet import quiet, warn_of_file
from histscan.errors import HistoryError, LogCorruptWarning, LogOverlapWarning, LogStepWarning, LogTruncatedWarning
from histscan.runs.file_scan import ReadProgress
from histscan.sources.files import WINDOW_SIZE, read_windows

__all__ = ["LogSegments", "read_pages"]

_HEADER_LENGTH = 7


def read_pages(
    path: Path,
    reader: LogReader,
    limit: int | None = None,
    progress: ReadProgress | None = None,
    *,
    window_size: int = WINDOW_SIZE,
) -> Generator[LogPage, None, None]:
    """Reads one log page by page, and warns at its end if rows are missing.

    Args:
        path: The log.
        reader: A new reader.
        limit: Bytes of the file to read; None for all.
        progress: Counts the bytes that were read.
        window_size: Bytes in a window, a multiple of 32 KiB.

    Yields:
        The records of each window of the file.

    Raises:
        LogFormatError: The file is empty, not a wandb log, or damaged compressed data.
        OSError: The file can't be read.

    Warns:
        LogCorruptWarning: Corrupt parts were skipped, if the reader skips them.
        LogStepWarning: Rows have a ``_step`` that is not a whole number.
        LogTruncatedWarning: The file ends within a record, or has none.
    """
    bytes_before = 0 if progress is None else progress.bytes_read

    def count(bytes_read: int) -> None:
        if progress is not None:
            progress.bytes_read = bytes_before + bytes_read

    for window, is_last in read_windows(path, window_size=window_size, limit=limit, watch=count):
        yield reader.read_window(window, is_last)
        if reader.is_finished and not is_last:
            break
    if reader.corrupt_at:
        places = reader.corrupt_at
        shown = ", ".join(map(str, places[:5])) + (", …" if len(places) > 5 else "")
        warn_of_file(
            f"{path}: {len(places)} corrupt part{'s were' if len(places) > 1 else ' was'} skipped (at byte {shown}); "
            "rows may be missing",
            LogCorruptWarning,
            stacklevel=2,
        )
    if reader.odd_steps:
        warn_of_file(
            f"{path}: {reader.odd_steps} row{'s have' if reader.odd_steps > 1 else ' has'} a _step that is not a whole "
            f"number (the first at byte {reader.odd_step_at}). The values are kept; min_step and max_step take the "
            "logged step message of such a row, or else the step after the row before it",
            LogStepWarning,
            stacklevel=2,
        )
    if reader.truncated_at is not None:
        warn_of_file(
            f"{path} ends within a record (from byte {reader.truncated_at}): it is still being written, or its "
            "writer was stopped. Every complete row was read",
            LogTruncatedWarning,
            stacklevel=2,
        )
    elif reader.offset == _HEADER_LENGTH:
        warn_of_file(
            f"{path} has no records yet: it is still being written, or its writer was stopped at once",
            LogTruncatedWarning,
            stacklevel=2,
        )


class LogSegments:
    """The logs of one run, in the order in which they were started.

    A step that several logs have belongs to the last of them: the run was resumed from before it, and logged it again.

    Args:
        files: The logs; at least one.
        path: What errors call them together.
        skip_corrupt: Skip corrupt parts with a warning, instead of raising there.
    """

    def __init__(self, files: Sequence[Path], path: Path, *, skip_corrupt: bool = False) -> None:
        self.files = tuple(files)
        self.path = path
        self.skip_corrupt = skip_corrupt
        # Each with the version of the files that it applies to.
        self._steps: tuple[object, list[array[int] | None]] | None = None
        self._ascending: tuple[object, bool] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may be loaded in another folder.
        return self.__dict__ | {"files": tuple(file.absolute() for file in self.files), "path": self.path.absolute()}

    def version(self) -> tuple[tuple[int, int, int], ...]:
        """Returns the version of the files: it is equal as long as they are unchanged.

        Returns:
            For each file its inode, size in bytes and time of modification in nanoseconds.

        Raises:
            OSError: The status of a file can't be read.
        """
        return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in map(os.stat, self.files))

    def sizes(self) -> tuple[int, ...]:
        """Returns each file's present size in bytes.

        Raises:
            OSError: The status of a file can't be read.
        """
        return tuple(file.stat().st_size for file in self.files)

    def read_pages(
        self,
        limits: Sequence[int] | None = None,
        progress: ReadProgress | None = None,
        *,
        begin_log: Callable[[int], object] | None = None,
    ) -> Generator[LogPage, None, None]:
        """Reads the logs one after the other, without rows that a later log replaces.

        Args:
            limits: Bytes to read of each file; None for all.
            progress: Counts the bytes that were read.
            begin_log: Called with the index of each log before it is read.

        Yields:
            The records of each window of a file.

        Raises:
            LogFormatError: A file is empty, not a wandb log, or damaged compressed data.
            OSError: A file can't be read.

        Warns:
            LogOverlapWarning: Rows were left out because a later log has the same steps.
            LogCorruptWarning, LogStepWarning, LogTruncatedWarning: As for the function `read_pages`.
        """
        version = self.version()
        is_ascending = True
        later_steps = self._find_repeated_steps() if len(self.files) > 1 else [None]
        last_step = -1
        dropped = 0
        lowest = highest = 0
        for place, file in enumerate(self.files):
            if begin_log is not None:
                begin_log(place)
            reader = LogReader(self.skip_corrupt, last_step=last_step)
            limit = None if limits is None else limits[place]
            for page in read_pages(file, reader, limit, progress):
                for steps in later_steps[place + 1 :]:
                    found = page.step_range()
                    if steps is None or found is None or steps[-1] < found[0] or found[1] < steps[0]:
                        continue
                    count = page.drop_steps(steps)
                    if count:
                        first, last = max(found[0], steps[0]), min(found[1], steps[-1])
                        lowest, highest = (min(lowest, first), max(highest, last)) if dropped else (first, last)
                        dropped += count
                yield page
            last_step = reader.last_step
            is_ascending = is_ascending and reader.is_ascending
        if limits is None or tuple(limits) == tuple(size for _, size, _ in version):
            self._ascending = version, is_ascending
        if dropped:
            warn_of_file(
                f"{self.path}: {dropped} row{'s were' if dropped > 1 else ' was'} logged again when the run was "
                f"resumed (within steps {lowest} to {highest}): those of the later log are used",
                LogOverlapWarning,
                stacklevel=2,
            )

    def is_ascending(self) -> bool:
        """Returns True if the steps are known to never decrease from row to row.

        That is known once the logs have been read to their end, until they change.
        """
        return self._ascending == (self.version(), True)

    def _find_repeated_steps(self) -> list[array[int] | None]:
        """Returns the distinct steps of each log, ascending; None for a log that no earlier log overlaps."""
        version = self.version()
        if self._steps is None or self._steps[0] != version:
            self._steps = version, list(self._read_steps())
        return self._steps[1]

    def _read_steps(self) -> Iterator[array[int] | None]:
        last_step = -1
        highest: int | None = None
        for file in self.files:
            reader = LogReader(self.skip_corrupt, last_step=last_step)
            logged: array[int] = array("q")
            with quiet(), contextlib.suppress(HistoryError):
                for page in read_pages(file, reader):
                    page.add_steps_to(logged)
            last_step = reader.last_step
            if logged and highest is not None and min(logged) <= highest:
                yield array("q", sorted(set(logged)))
            else:
                yield None
            if logged:
                highest = max(logged) if highest is None else max(highest, *logged)
