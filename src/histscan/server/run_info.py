"""Converts a run's metadata to W&B's ``runInfo``: program, Python, hardware and commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["commit_of", "run_info"]


def run_info(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Converts metadata to ``runInfo``.

    Args:
        metadata: The metadata with the names of `histscan.LogRun.metadata`, which may come from a file beside the log.
            Values of unexpected types are left out.

    Returns:
        The members of ``RunInfo``; None without metadata.
    """
    if not metadata:
        return None
    args, git = metadata.get("args"), metadata.get("git")
    return {
        **{name: _text(metadata.get(name)) for name in ("program", "os", "python", "colab")},
        "args": [text for text in args if isinstance(text, str)] if isinstance(args, list) else None,
        "executable": None,
        "codeSaved": _text(metadata.get("code_path")) is not None,
        "cpuCount": _count(metadata.get("cpu_count")),
        "gpuCount": _count(metadata.get("gpu_count")),
        "gpu": _text(metadata.get("gpu_type")),
        "git": {"remote": _text(git.get("remote_url")), "commit": _text(git.get("commit"))}
        if isinstance(git, Mapping)
        else None,
    }


def commit_of(metadata: Mapping[str, Any]) -> str | None:
    """Returns the git commit that a run was started from.

    Args:
        metadata: The metadata with the names of `histscan.LogRun.metadata`.

    Returns:
        The commit; None if unknown.
    """
    git = metadata.get("git")
    return _text(git.get("commit")) if isinstance(git, Mapping) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    # GraphQL's Int has 32 bits.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else None
