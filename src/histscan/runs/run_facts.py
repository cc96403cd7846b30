"""What a run says of itself: names, state, times, tags, configuration and summary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from histscan.errors import HistoryError

__all__ = ["RunFacts", "path_text"]


class RunFacts(ABC):
    """The facts of a run, with the names of ``wandb.Api().run()``.

    A source of runs defines those that are abstract, and those of the others that it knows.
    """

    # Names

    @property
    @abstractmethod
    def entity(self) -> str:
        """The user or team that the run belongs to; empty if unknown."""

    @property
    @abstractmethod
    def project(self) -> str:
        """The project's name; empty if unknown."""

    @property
    @abstractmethod
    def id(self) -> str:
        """The run's id."""

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the run's page, for a browser; empty if unknown."""

    # Descriptions

    @property
    def name(self) -> str:
        """The run's display name; its id if it has none."""
        return self.id

    @property
    def state(self) -> str:
        """``"running"``, ``"finished"``, ``"failed"``, ``"crashed"`` or another word; empty if unknown."""
        return ""

    @property
    def exit_code(self) -> int | None:
        """The exit code of the run, 0 for success; None if it has not ended, or if unknown."""
        return None

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC: ``"2026-01-31T12:00:00Z"``; empty if unknown."""
        return ""

    @property
    def heartbeat_at(self) -> str:
        """When the run was last heard of, written as `created_at`; empty if unknown."""
        return ""

    @property
    def duration(self) -> float | None:
        """The run's duration in seconds, up to its last row if it has not ended; None if unknown."""
        return None

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return []

    @property
    def group(self) -> str:
        """The run's group; empty if it has none."""
        return ""

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none."""
        return ""

    @property
    def sweep_id(self) -> str:
        """The id of the sweep that started the run; empty without one, or if unknown."""
        return ""

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none."""
        return ""

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if unknown."""
        return ""

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one."""
        return {}

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Program, arguments, versions and so on, with the names of ``wandb-metadata.json``; None if unknown."""
        return None

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The run's configuration, without wandb's internal entries."""

    @property
    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The run's summary."""

    @property
    def is_loaded(self) -> bool:
        """True if `config` and `summary` need no request."""
        return True


def path_text(run: RunFacts) -> str:
    """Writes the path of a run, for people.

    Args:
        run: The run.

    Returns:
        ``"entity/project/id"``, without parts that are empty; empty if they can't be read, because the file is gone.
    """
    try:
        return "/".join(filter(None, run.path))
    except (HistoryError, OSError):
        return ""
