"""What files of columns tell about the run that they were exported from."""

from __future__ import annotations

import json
from typing import Any

from histscan._version import __version__
from histscan.runs.contracts import Run

__all__ = ["describe_run", "run_metadata"]


def run_metadata(run: Run) -> dict[str, str]:
    """Describes a run for the metadata of a file.

    Args:
        run: The run.

    Returns:
        ``histscan.version``; and ``histscan.run``, a JSON object with entity, project, id, name, group, job type, tags,
        sweep, notes and config of the run, its state, exit code, times and duration, the release of wandb, and the axes
        of its metrics. It has nothing about the machine that the run was recorded on, unless config or notes have it.
    """
    return {"histscan.version": __version__, "histscan.run": json.dumps(describe_run(run))}


def describe_run(run: Run) -> dict[str, Any]:
    """Describes a run for files.

    Args:
        run: The run.

    Returns:
        The members of ``histscan.run`` in `run_metadata`.
    """
    return {
        "entity": run.entity,
        "project": run.project,
        "id": run.id,
        "name": run.name,
        "group": run.group,
        "job_type": run.job_type,
        "tags": run.tags,
        "sweep_id": run.sweep_id,
        "notes": run.notes,
        "state": run.state,
        "exit_code": run.exit_code,
        "created_at": run.created_at,
        "heartbeat_at": run.heartbeat_at,
        "duration": run.duration,
        "wandb_version": run.wandb_version,
        "axes": run.axes,
        "config": run.config,
    }
