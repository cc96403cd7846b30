"""What exported files tell of a run beside its history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.runs.recorded_run import RecordedRun

if TYPE_CHECKING:
    from histscan.runs.console import ConsoleLine
    from histscan.runs.system_metrics import SystemMetricsScan

__all__ = ["ParquetMembers"]


class ParquetMembers(RecordedRun):
    """The members of a run that ``histscan export`` writes to a file's metadata; mixed into `histscan.ParquetRun`.

    They are as they were at the time of the export. Files that W&B exported have none of them.
    """

    if TYPE_CHECKING:
        file: Path
        _described: dict[str, Any]

    @property
    def state(self) -> str:
        """``"finished"``, ``"failed"``, ``"crashed"`` or ``"running"``; empty if the files don't tell."""
        return str(self._described.get("state") or "")

    @property
    def exit_code(self) -> int | None:
        """What the run ended with; None if the files don't tell."""
        found = self._described.get("exit_code")
        return found if isinstance(found, int) else None

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if the files don't tell."""
        return str(self._described.get("wandb_version") or "")

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC: ``"2026-01-31T12:00:00Z"``; empty if the files don't tell."""
        return str(self._described.get("created_at") or "")

    @property
    def heartbeat_at(self) -> str:
        """When the run was last heard of, written as `created_at`; empty if the files don't tell."""
        return str(self._described.get("heartbeat_at") or "")

    @property
    def duration(self) -> float | None:
        """Seconds that the run took; None if the files don't tell."""
        found = self._described.get("duration")
        return float(found) if isinstance(found, int | float) else None

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one, as far as the files tell."""
        found = self._described.get("axes")
        return {str(name): str(axis) for name, axis in found.items()} if isinstance(found, dict) else {}

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What ran and where: None, as files of histories do not have it."""
        return None

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none, or the files don't tell."""
        return str(self._described.get("notes") or "")

    def system_metrics(self, keys: list[str] | None = None) -> SystemMetricsScan:
        """Scans the metrics of the machine: no rows, as files of histories do not have them.

        Args:
            keys: As for runs in logs.

        Returns:
            An iterator that has ``to_arrow()`` and the like, too.
        """
        from histscan.runs.system_metrics import SystemMetricsScan, check_keys

        return SystemMetricsScan(lambda: iter(()), check_keys(keys), str(self.file))

    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:  # noqa: ARG002 - as runs in logs have it
        """Reads what the program printed: nothing, as files of histories do not have it.

        Args:
            raw: As for runs in logs.

        Returns:
            An iterator without lines.
        """
        return iter(())
