"""The fields of served runs for filters and orders."""

from __future__ import annotations

from histscan.many.filters import RunFields
from histscan.server.served_run import ServedRun

__all__ = ["SERVED_FIELDS"]

SERVED_FIELDS: RunFields[ServedRun] = RunFields(
    {
        "name": lambda run: run.key.id,
        "entity": lambda run: run.key.entity,
        "project": lambda run: run.key.project,
        "display_name": lambda run: run.description().name,
        "created_at": lambda run: run.description().created_at,
        "tags": lambda run: list(run.description().tags),
        "group": lambda run: run.description().group or None,
        "job_type": lambda run: run.description().job_type or None,
        "notes": lambda run: run.description().notes or None,
        "sweep": lambda run: run.description().sweep or None,
        "host": lambda run: run.description().host or None,
        "state": lambda run: run.details().state,
        "config": lambda run: run.details().config,
        "summary_metrics": lambda run: run.details().summary,
        "heartbeat_at": lambda run: run.details().heartbeat_at,
        "duration": lambda run: (run.details().heartbeat_at - run.description().created_at).total_seconds(),
        "history_line_count": lambda run: run.details().row_count,
        "last_history_step": lambda run: run.details().last_step,
    }
)
"""Reads the fields of served runs."""
