"""Runs of which files have the history, and at best what ``histscan export`` wrote along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from histscan.common.keys import check_keys
from histscan.runs.contracts import FileRun

if TYPE_CHECKING:
    from histscan.runs.console import ConsoleLine
    from histscan.runs.system_metrics import SystemMetricsScan

__all__ = ["HistoryFileRun"]


class HistoryFileRun(FileRun):
    """A run of which files have the history alone.

    What else is known is as it was when ``histscan export`` wrote the files. Files of others have none of it.

    Attributes:
        described: What an export wrote along.
        file_id: The run's id as the files' names have it.
    """

    described: dict[str, Any]
    file_id: str

    @property
    def entity(self) -> str:
        """The user or team that the run belongs to; empty if the files don't tell."""
        return str(self.described.get("entity") or "")

    @property
    def project(self) -> str:
        """The project's name; empty if the files don't tell."""
        return str(self.described.get("project") or "")

    @property
    def id(self) -> str:
        """The run's id; the name of the file or folder if the files don't tell."""
        return str(self.described.get("id") or self.file_id)

    @property
    def name(self) -> str:
        """The run's display name; its id if the files don't tell."""
        return str(self.described.get("name") or self.id)

    @property
    def group(self) -> str:
        """The run's group; empty if it has none, or the files don't tell."""
        return str(self.described.get("group") or "")

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none, or the files don't tell."""
        return str(self.described.get("job_type") or "")

    @property
    def tags(self) -> list[str]:
        """The run's tags, as far as the files tell."""
        return [str(tag) for tag in self.described.get("tags") or ()]

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration, which ``histscan export`` writes along; empty if the files don't tell."""
        return dict(self.described.get("config") or {})

    @property
    def state(self) -> str:
        """``"finished"``, ``"failed"``, ``"crashed"`` or ``"running"``; empty if the files don't tell."""
        return str(self.described.get("state") or "")

    @property
    def exit_code(self) -> int | None:
        """What the run ended with; None if the files don't tell."""
        found = self.described.get("exit_code")
        return found if isinstance(found, int) else None

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if the files don't tell."""
        return str(self.described.get("wandb_version") or "")

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC: ``"2026-01-31T12:00:00Z"``; empty if the files don't tell."""
        return str(self.described.get("created_at") or "")

    @property
    def heartbeat_at(self) -> str:
        """When the run was last heard of, written as `created_at`; empty if the files don't tell."""
        return str(self.described.get("heartbeat_at") or "")

    @property
    def duration(self) -> float | None:
        """Seconds that the run took; None if the files don't tell."""
        found = self.described.get("duration")
        return float(found) if isinstance(found, int | float) else None

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one, as far as the files tell."""
        found = self.described.get("axes")
        return {str(name): str(axis) for name, axis in found.items()} if isinstance(found, dict) else {}

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none, or the files don't tell."""
        return str(self.described.get("notes") or "")

    def system_metrics(self, keys: list[str] | None = None) -> SystemMetricsScan:
        """Scans the metrics of the machine: no rows, as files of histories do not have them.

        Args:
            keys: As for runs in logs.

        Returns:
            An iterator that has ``to_arrow()`` and the like, too.
        """
        from histscan.runs.system_metrics import SystemMetricsScan

        return SystemMetricsScan(_no_pages, check_keys(keys) or None, str(self.file))

    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:  # noqa: ARG002 - as runs in logs have it
        """Reads what the program printed: nothing, as files of histories do not have it.

        Args:
            raw: As for runs in logs.

        Returns:
            An iterator without lines.
        """
        return iter(())


def _no_pages() -> Iterator[Any]:
    return iter(())
