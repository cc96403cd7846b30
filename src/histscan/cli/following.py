"""Follows a run that is being written: its last rows, then those that are added."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.pages.log_reader import LogReader
from histscan.common.quiet import quiet
from histscan.errors import HistoryError, LogFormatError
from histscan.runs.log_run import LogRun
from histscan.runs.log_segments import read_pages

if TYPE_CHECKING:
    from histscan._core.pages.log_page import LogPage
    from histscan.api.run import Run as ServerRun
    from histscan.cli.key_selection import KeySelection
    from histscan.runs.contracts import Run

__all__ = ["Follower", "follow"]

# The number of the field in wandb's `Record`.
_EXIT = 18
_RUNNING = ("running", "pending", "")
_STEPS_BACK = 256


class Follower(ABC):
    """A run that is followed.

    Attributes:
        shortest_wait: Seconds between looks while rows are added.
        longest_wait: Seconds between looks after a while without rows.
    """

    shortest_wait: float
    longest_wait: float

    @abstractmethod
    def last_rows(self, count: int) -> list[dict[str, Any]]:
        """Reads the last rows that there are; called once, before `new_rows`.

        Args:
            count: The number of rows.

        Returns:
            The rows that are selected.
        """

    @abstractmethod
    def new_rows(self) -> list[dict[str, Any]]:
        """Reads the rows that were added since the last call.

        Returns:
            The rows that are selected.
        """

    @property
    @abstractmethod
    def end(self) -> str | None:
        """How the run has ended; None as long as it may go on. Every row before the end has been returned."""


def follow(run: Run, selection: KeySelection, *, skip_corrupt: bool) -> Follower:
    """Follows a run.

    Args:
        run: The run.
        selection: The keys.
        skip_corrupt: Skip corrupt parts of a log.

    Returns:
        The follower.
    """
    from histscan.api.run import Run as ServerRun

    if isinstance(run, LogRun):
        return _LogFollower(run, selection, skip_corrupt=skip_corrupt)
    if isinstance(run, ServerRun):
        return _ServerFollower(run, selection)
    return _FileFollower(run, selection)


class _LogFollower(Follower):
    """Follows a log.

    The log is read again from its beginning when it has grown, which takes a second for some gigabytes: the rows that
    are known are not decoded. A record that is not complete yet is left for the next time.
    """

    shortest_wait, longest_wait = 0.5, 2.0

    def __init__(self, run: LogRun, selection: KeySelection, *, skip_corrupt: bool) -> None:
        self._run = run
        self._selection = selection
        self._skip_corrupt = skip_corrupt
        self._file: Path = run.files[-1]
        self._size = -1
        self._rows = 0
        self._exit_code: int | None = None
        self._was_running = run.state in _RUNNING
        self._error: HistoryError | None = None

    def last_rows(self, count: int) -> list[dict[str, Any]]:
        """See `Follower.last_rows`."""
        rows: deque[dict[str, Any]] = deque(maxlen=count)
        if len(self._run.files) > 1:
            with quiet():
                rows.extend(_select(self._run.scan_history(), self._selection))
            self._read(None)
        else:
            self._read(rows)
        return list(rows)

    def new_rows(self) -> list[dict[str, Any]]:
        """See `Follower.new_rows`."""
        if self._error is not None:
            # The rows before it have been returned.
            raise self._error
        rows: deque[dict[str, Any]] = deque()
        self._read(rows)
        return list(rows)

    def _read(self, rows: deque[dict[str, Any]] | None) -> None:
        """Reads the rows that were added to the log since the last call; only counts them if `rows` is None."""
        size = os.stat(self._file).st_size
        if size == self._size:
            return
        reader = LogReader(self._skip_corrupt)
        seen = 0
        with quiet():
            for page in read_pages(self._file, reader, size):
                before, seen = seen, seen + len(page)
                for ended in page.records(_EXIT):
                    self._exit_code = _exit_code(ended, self._exit_code)
                if seen > self._rows or reader.is_finished:
                    added = self._added(page, max(self._rows - before, 0))
                    if rows is not None:
                        rows.extend(_select(added, self._selection))
        if seen < self._rows:
            raise LogFormatError("the log has fewer rows than before: it was replaced", run=str(self._file))
        self._size, self._rows = size, seen

    def _added(self, page: LogPage, first: int) -> list[Any]:
        """Returns the rows of a page from one on; if the log is corrupt there, those before."""
        try:
            return page.rows()[first:]
        except HistoryError as error:
            error.add_location(run=str(self._file))
            self._error = error
            return [page.row(place) for place in range(first, len(page))]

    @property
    def end(self) -> str | None:
        """See `Follower.end`."""
        if self._error is not None:
            return None
        if self._exit_code is not None:
            return "the run has finished" if not self._exit_code else f"the run has failed, exit code {self._exit_code}"
        # A run that is silent while it is followed may go on.
        return None if self._was_running else "the run has crashed: its log has no end, and does not grow"


class _ServerFollower(Follower):
    """Follows a run on a server: requests its last step, then the steps after the last one that was read."""

    shortest_wait, longest_wait = 1.0, 15.0

    def __init__(self, run: ServerRun, selection: KeySelection) -> None:
        self._run = run
        self._selection = selection
        self._next = 0
        self._state = ""

    def last_rows(self, count: int) -> list[dict[str, Any]]:
        """See `Follower.last_rows`."""
        self._state = self._run.state
        self._next = self._run.lastHistoryStep + 1
        back = max(_STEPS_BACK, count)
        while count:
            first = max(self._next - back, 0)
            rows = self._scan(first)
            if len(rows) >= count or first == 0:
                return rows[-count:]
            back *= 8
        return []

    def new_rows(self) -> list[dict[str, Any]]:
        """See `Follower.new_rows`."""
        # The state first: the rows of a run that has ended are all there.
        self._run.refresh()
        self._state = self._run.state
        first, self._next = self._next, max(self._next, self._run.lastHistoryStep + 1)
        return self._scan(first) if self._next > first else []

    def _scan(self, first: int) -> list[dict[str, Any]]:
        keys = None if self._selection.has_patterns or not self._selection.items else self._selection.with_step
        rows = self._run.scan_history(keys, min_step=first, max_step=self._next, source="pages")
        return list(rows) if keys else _select(rows, self._selection)

    @property
    def end(self) -> str | None:
        """See `Follower.end`."""
        return None if self._state in _RUNNING else f"the run has {_ENDS.get(self._state, f'ended: {self._state}')}"


_ENDS = {"finished": "finished", "failed": "failed", "crashed": "crashed", "killed": "been killed"}


class _FileFollower(Follower):
    """Shows the last rows of a history that does not grow."""

    shortest_wait = longest_wait = 0.0

    def __init__(self, run: Run, selection: KeySelection) -> None:
        self._run = run
        self._selection = selection

    def last_rows(self, count: int) -> list[dict[str, Any]]:
        """See `Follower.last_rows`."""
        rows: deque[dict[str, Any]] = deque(_select(self._run.scan_history(), self._selection), maxlen=count)
        return list(rows)

    def new_rows(self) -> list[dict[str, Any]]:
        """See `Follower.new_rows`."""
        return []

    @property
    def end(self) -> str | None:
        """See `Follower.end`."""
        return "exported histories do not grow"


def _select(rows: Any, selection: KeySelection) -> list[dict[str, Any]]:
    """Selects rows and their keys."""
    if not selection.items:
        return list(rows)
    return [picked for row in rows if (picked := selection.pick(row)) is not None]


def _exit_code(record: bytes, before: int | None) -> int | None:
    """Returns the exit code that a record has; that of `before` if the run continues elsewhere."""
    from google.protobuf.message import DecodeError

    from histscan import proto

    try:
        ended = proto.RunExitRecord.FromString(record)
    except DecodeError:
        return before
    return before if ended.not_complete else int(ended.exit_code)
