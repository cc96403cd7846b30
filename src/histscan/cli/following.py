"""Follows a run that is being written: its last rows, then those that are added."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from histscan.common.quiet import quiet
from histscan.runs.log_following import GrowingLog
from histscan.runs.log_run import LogRun

if TYPE_CHECKING:
    from histscan.api.run import Run as ServerRun
    from histscan.cli.key_selection import KeySelection
    from histscan.runs.contracts import Run

__all__ = ["Follower", "follow"]

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
    """Follows a log; of a resumed run, the last one."""

    shortest_wait, longest_wait = 0.5, 2.0

    def __init__(self, run: LogRun, selection: KeySelection, *, skip_corrupt: bool) -> None:
        self._run = run
        self._selection = selection
        self._log = GrowingLog(run.files[-1], skip_corrupt=skip_corrupt)
        self._was_running = run.state in _RUNNING

    def last_rows(self, count: int) -> list[dict[str, Any]]:
        """See `Follower.last_rows`."""
        last: deque[dict[str, Any]] = deque(maxlen=count)
        if len(self._run.files) > 1:
            with quiet():
                last.extend(_select(self._run.scan_history(), self._selection))
            for _ in self._log.new_rows():
                pass
        else:
            last.extend(_select(self._log.new_rows(), self._selection))
        return list(last)

    def new_rows(self) -> list[dict[str, Any]]:
        """See `Follower.new_rows`."""
        return list(_select(self._log.new_rows(), self._selection))

    @property
    def end(self) -> str | None:
        """See `Follower.end`."""
        if self._log.has_failed:
            return None
        code = self._log.exit_code
        if code is not None:
            return "the run has finished" if not code else f"the run has failed, exit code {code}"
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
        return list(rows) if keys else list(_select(rows, self._selection))

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


def _select(rows: Iterable[Any], selection: KeySelection) -> Iterator[dict[str, Any]]:
    """Selects rows and their keys."""
    for row in rows:
        picked = selection.pick(row) if selection.items else row
        if picked is not None:
            yield picked
