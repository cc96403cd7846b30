"""Names of the files of a mirror: made of run ids, which may be any text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence

__all__ = ["HISTORY_FOLDER", "LOCK_FILE", "PARTIAL_SUFFIX", "RUNS_FILE", "STATE_FILE", "SYSTEM_FOLDER", "file_name"]

HISTORY_FOLDER = "history"
SYSTEM_FOLDER = "system"
RUNS_FILE = "runs.parquet"
STATE_FILE = "mirror.jsonl"
LOCK_FILE = "mirror.lock"
PARTIAL_SUFFIX = ".partial"

# Names that every file system, shell and glob takes literally.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")


def file_name(run_id: str, key: Sequence[str], taken: Collection[str]) -> str:
    """Chooses the name of a run's files.

    Args:
        run_id: The run's id.
        key: What identifies the run in the mirror.
        taken: The names of other runs, in lower case: some file systems ignore case.

    Returns:
        The id with ``.parquet``; if that is no safe name, or is taken, a part of it with a hash of the key.
    """
    if _PLAIN.fullmatch(run_id) and f"{run_id}.parquet".lower() not in taken:
        return f"{run_id}.parquet"
    readable = _OTHERS.sub("_", run_id)[:60].strip("_-") or "run"
    digest = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()
    return f"{readable}-{digest[:16]}.parquet"
