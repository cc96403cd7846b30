"""The facts that ``histscan info`` shows of a run besides its history."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from histscan.errors import HistoryError
from histscan.runs.file_run import FileRun

if TYPE_CHECKING:
    from histscan.runs.contracts import Run

__all__ = ["describe_run", "run_facts"]

_MOST_METRICS = 6


def run_facts(run: Run) -> dict[str, Any]:
    """Describes a run for programs.

    Args:
        run: The run.

    Returns:
        The members of a JSON object.
    """
    return {
        "state": run.state,
        "exit_code": run.exit_code,
        "wandb_version": run.wandb_version,
        "created_at": run.created_at,
        "heartbeat_at": run.heartbeat_at,
        "duration": run.duration,
        "tags": run.tags,
        "axes": run.axes,
        "metadata": _metadata(run),
    }


def describe_run(run: Run) -> dict[str, str]:
    """Describes a run for people.

    Args:
        run: The run.

    Returns:
        The known facts by name. The texts may hold unprintable characters.
    """
    metadata = _metadata(run)
    git = metadata.get("git")
    facts = {
        "state": run.state + (f", exit code {run.exit_code}" if run.exit_code is not None else ""),
        "wandb": run.wandb_version,
        "started": run.created_at,
        "duration": "" if run.duration is None else _describe_duration(run.duration),
        "program": _text(metadata.get("program")),
        "python": _text(metadata.get("python")),
        "git": _describe_git(git) if isinstance(git, dict) else "",
        "tags": ", ".join(run.tags),
        "axes": _describe_axes(run.axes),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _metadata(run: Run) -> dict[str, Any]:
    try:
        return run.metadata or {}
    except HistoryError:
        if isinstance(run, FileRun):
            raise
        # A server may refuse to list a run's files: show the other facts.
        return {}


def _describe_duration(seconds: float) -> str:
    try:
        return str(timedelta(seconds=round(seconds)))
    except OverflowError:
        return ""


def _describe_git(git: dict[str, Any]) -> str:
    """Describes a commit and its remote; wandb before 0.18 calls the remote's address `remote`."""
    remote = _text(git.get("remote_url") or git.get("remote"))
    commit = _text(git.get("commit"))
    return f"{commit} of {remote}" if commit and remote else commit or remote


def _describe_axes(axes: dict[str, str]) -> str:
    by_axis: dict[str, list[str]] = {}
    for metric, axis in axes.items():
        by_axis.setdefault(axis, []).append(metric)
    return "; ".join(
        f"{', '.join(metrics[:_MOST_METRICS])}"
        f"{f' and {len(metrics) - _MOST_METRICS} more' if len(metrics) > _MOST_METRICS else ''} over {axis}"
        for axis, metrics in by_axis.items()
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
