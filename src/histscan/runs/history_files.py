"""Runs whose files contain the history, and possibly the description that ``histscan export`` adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.common.keys import check_keys
from histscan.common.quiet import quiet
from histscan.common.steps import STEP, step_after
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    from histscan.runs.console import ConsoleLine
    from histscan.runs.system_metrics import SystemMetricsScan

__all__ = ["HistoryFileRun"]


class _LastValues(NamedTuple):
    """The highest step and the last value of each key, for a version of the files."""

    version: object
    step: int
    values: dict[str, Any]


class HistoryFileRun(FileRun):
    """A run whose files contain only the history.

    ``histscan export`` adds a description of the run, as it was at that time, to Parquet files. Otherwise, most
    properties are empty.

    Attributes:
        described: The description of the run from the files; empty if they have none.
        file_id: The run's id according to the names of the files.
    """

    described: dict[str, Any]
    file_id: str
    _last: _LastValues | None = None

    @property
    def entity(self) -> str:
        """The user or team that the run belongs to; empty if unknown."""
        return str(self.described.get("entity") or "")

    @property
    def project(self) -> str:
        """The project's name; empty if unknown."""
        return str(self.described.get("project") or "")

    @property
    def id(self) -> str:
        """The run's id; the name of the file or folder if unknown."""
        return str(self.described.get("id") or self.file_id)

    @property
    def name(self) -> str:
        """The run's display name; its id if unknown."""
        return str(self.described.get("name") or self.id)

    @property
    def group(self) -> str:
        """The run's group; empty if it has none, or if unknown."""
        return str(self.described.get("group") or "")

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none, or if unknown."""
        return str(self.described.get("job_type") or "")

    @property
    def sweep_id(self) -> str:
        """The id of the sweep that started the run; empty without one, or if unknown."""
        return str(self.described.get("sweep_id") or "")

    @property
    def tags(self) -> list[str]:
        """The run's tags, if known."""
        return [str(tag) for tag in self.described.get("tags") or ()]

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration, which ``histscan export`` writes to Parquet files; empty if unknown."""
        return dict(self.described.get("config") or {})

    @property
    def summary(self) -> dict[str, Any]:
        """The last value of each key. This reads the history, once for each version of the files."""
        return self._read_last().values

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - wandb's name
        """The highest step of the history; -1 without rows. This reads the history, as `summary` does."""
        return self._read_last().step

    def _read_last(self) -> _LastValues:
        statuses = [file.stat() for file in self.files]
        version = [(status.st_ino, status.st_size, status.st_mtime_ns) for status in statuses]
        if self._last is None or self._last.version != version:
            step = highest = -1
            values: dict[str, Any] = {}
            with quiet():
                for row in self.scan_history():
                    step = step_after(row.get(STEP), step)
                    highest = max(highest, step)
                    values.update(row)
            self._last = _LastValues(version, highest, values)
        return self._last

    @property
    def state(self) -> str:
        """``"finished"``, ``"failed"``, ``"crashed"`` or ``"running"``; empty if unknown."""
        return str(self.described.get("state") or "")

    @property
    def exit_code(self) -> int | None:
        """The exit code of the run; None if unknown."""
        found = self.described.get("exit_code")
        return found if isinstance(found, int) else None

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if unknown."""
        return str(self.described.get("wandb_version") or "")

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC: ``"2026-01-31T12:00:00Z"``; empty if unknown."""
        return str(self.described.get("created_at") or "")

    @property
    def heartbeat_at(self) -> str:
        """When the run was last heard of, written as `created_at`; empty if unknown."""
        return str(self.described.get("heartbeat_at") or "")

    @property
    def duration(self) -> float | None:
        """The run's duration in seconds; None if unknown."""
        found = self.described.get("duration")
        return float(found) if isinstance(found, int | float) else None

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one, if known."""
        found = self.described.get("axes")
        return {str(name): str(axis) for name, axis in found.items()} if isinstance(found, dict) else {}

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none, or if unknown."""
        return str(self.described.get("notes") or "")

    def system_metrics(self, keys: list[str] | None = None) -> SystemMetricsScan:
        """Scans the metrics of the machine: no rows, because these files do not have them.

        Args:
            keys: As for runs in logs.

        Returns:
            An empty iterator, which has the frame methods, too.
        """
        from histscan.runs.system_metrics import SystemMetricsScan

        return SystemMetricsScan(_no_pages, check_keys(keys) or None, str(self.file))

    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:  # noqa: ARG002 - as runs in logs have it
        """Reads what the program printed: no lines, because these files do not have them.

        Args:
            raw: As for runs in logs.

        Returns:
            An empty iterator.
        """
        return iter(())


def _no_pages() -> Iterator[Any]:
    return iter(())
