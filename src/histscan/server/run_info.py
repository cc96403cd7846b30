"""What ran, in the form of W&B's ``runInfo``: chosen from a run's metadata, which a file beside its log may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["commit_of", "run_info"]


def run_info(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Chooses what ``runInfo`` has.

    Args:
        metadata: The metadata as `histscan.LogRun.metadata` names it; values of other types than W&B's are left out.

    Returns:
        The members of ``RunInfo``; None if nothing is known.
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
    """Finds the git commit that a run was started from.

    Args:
        metadata: The metadata as `histscan.LogRun.metadata` names it.

    Returns:
        The commit; None if it is not known.
    """
    git = metadata.get("git")
    return _text(git.get("commit")) if isinstance(git, Mapping) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    # Larger numbers are no count of processors, and none of GraphQL's.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else None
