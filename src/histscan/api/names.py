"""Names of runs and projects on a server."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from histscan.sources.settings import find_setting

__all__ = ["RunName", "looks_like_name", "parse_project", "parse_run", "parse_runs"]

# Names of projects may contain wildcard characters, except for the question mark.
_NAME = re.compile(r"[^/\\*?\[\]]+/(?!\*+/)[^/\\?]+/(runs/)?[^/\\*?\[\]]+")
# A missing file must not cause a request to a server: a text with parts that are typical of paths is not a name.
_PART_OF_PATH = re.compile(r"\.{1,2}|(offline-)?run-\d{8}_\d{6}.*|offline-run-.*|latest-run")
_FIRST_OF_PATH = re.compile(r"[.~].*|runs")
_END_OF_PATH = re.compile(
    r".*\.(wandb|parquet|arrow|feather|jsonl?|ndjson|csv|tsv|txt|log|ya?ml|gz|zst|bz2|xz|zip|tar)", re.IGNORECASE
)


class RunName(NamedTuple):
    """The full name of a run.

    Attributes:
        entity: The user or team.
        project: The project's name.
        id: The run's id.
    """

    entity: str
    project: str
    id: str


def looks_like_name(text: str) -> bool:
    """Returns True if a text has the form ``entity/project/run_id``, and does not look like the path of a file.

    Args:
        text: What the user wants to open. ``entity/project/runs/run_id`` is also a name.
    """
    if _NAME.fullmatch(text) is None or _END_OF_PATH.fullmatch(text):
        return False
    parts = text.split("/")
    return not _FIRST_OF_PATH.fullmatch(parts[0]) and not any(map(_PART_OF_PATH.fullmatch, parts))


def parse_runs(text: str) -> tuple[str, str, str | None] | None:
    """Parses the name of a project or a sweep that a user wants to open.

    Args:
        text: ``entity/project``, ``entity/project/sweep_id`` or ``entity/project/sweeps/sweep_id``.

    Returns:
        Entity, project, and the sweep's id or None; None if the text has another form, or looks like a path of files.
    """
    parts = text.split("/")
    if len(parts) == 4 and parts[2] == "sweeps":
        del parts[2]
    # With a run's id, a project's name is subject to the same rules as that of a run.
    if (
        len(parts) not in (2, 3)
        or not looks_like_name("/".join([*parts, "id"][:3]))
        or _FIRST_OF_PATH.fullmatch(parts[1])
    ):
        return None
    return parts[0], parts[1], parts[2] if len(parts) == 3 else None


def parse_run(path: str, default_entity: Callable[[], str]) -> RunName:
    """Parses a run's path.

    Args:
        path: ``entity/project/run_id``, also with ``runs/`` before the id, or with ``:`` instead of the last slash.
            Without an entity, `default_entity` is used; without a project, ``WANDB_PROJECT`` or a settings file.
        default_entity: Called for the entity if the path has none.

    Returns:
        The name.

    Raises:
        ValueError: The path is not that of a run.
    """
    if not isinstance(path, str):
        raise ValueError(f"a run's path must be a string such as 'entity/project/run_id', not {path!r}")
    # As wandb parses a path.
    parts = path.replace("/runs/", "/").replace("/sweeps/", "/").strip("/ ").split("/")
    if len(parts) < 3 and ":" in parts[-1]:
        parts[-1:] = parts[-1].split(":", 1)
    parts = [part.strip() for part in parts]
    if len(parts) == 1:
        parts.insert(0, find_setting("project"))
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"{path!r} is not the path of a run: write entity/project/run_id")
    if len(parts) == 2:
        parts.insert(0, default_entity())
    return RunName(*parts)


def parse_project(path: str | None, default_entity: Callable[[], str]) -> tuple[str, str]:
    """Parses a project's path.

    Args:
        path: ``entity/project``. Without an entity, `default_entity` is used; None means the project of
            ``WANDB_PROJECT`` or of a settings file.
        default_entity: Called for the entity if the path has none.

    Returns:
        Entity and project.

    Raises:
        ValueError: The path is not that of a project.
    """
    given = find_setting("project") or "uncategorized" if path is None else path
    if not isinstance(given, str):
        raise ValueError(f"a project's path must be a string such as 'entity/project', not {path!r}")
    parts = [part.strip() for part in given.strip("/ ").split("/")]
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"{path!r} is not the path of a project: write entity/project")
    entity, project = parts if len(parts) == 2 else (default_entity(), parts[0])
    return entity, project
