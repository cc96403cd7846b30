"""``.wandb`` files on disk: finding them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["LOG_SUFFIXES", "common_folder", "find_logs", "is_log_name"]

LOG_SUFFIXES = (".wandb", ".wandb.gz", ".wandb.zst")
"""Suffixes of logs: as wandb writes them, and compressed."""


def is_log_name(name: str) -> bool:
    """Returns True if a file name has the suffix of a log.

    Args:
        name: The name, or a path that ends with it.
    """
    return name.endswith(LOG_SUFFIXES)


def find_logs(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Finds the logs that a path stands for.

    Args:
        path: A ``.wandb`` file; the folder of one run (``wandb/offline-run-20260131_120000-abc``) or a folder of such
            folders; a pattern (``"wandb/run-*-abc"``) of files or of folders; or a list of these.

    Returns:
        The files without duplicates, sorted by name; those of a list in the order of the list.

    Raises:
        FileNotFoundError: The path does not exist, or the folder contains no log.
    """
    if not isinstance(path, str | os.PathLike):
        found = [log for item in path for log in find_logs(item)]
        if not found:
            raise FileNotFoundError("the list of paths is empty: pass at least one")
        return list({log.resolve(): log for log in found}.values())
    given = Path(path)
    if given.is_file():
        return [given]
    if given.is_dir():
        logs = _logs_in(given)
        if not logs:
            raise FileNotFoundError(f"the folder {str(given)!r} contains no .wandb file, and no run folder with one")
        return logs
    if given.exists():
        return [given]
    if not glob.has_magic(str(given)):
        raise FileNotFoundError(f"there is no file or folder {str(given)!r}")
    matches = sorted(Path(match) for match in glob.glob(str(given), recursive=True))
    logs = [
        log
        for match in matches
        for log in (_logs_in(match) if match.is_dir() else [match])
        if is_log_name(log.name) and not match.is_symlink()
    ]
    if not logs:
        raise FileNotFoundError(f"no log, and no folder with one, matches the pattern {str(given)!r}")
    return list({log.resolve(): log for log in logs}.values())


def _logs_in(folder: Path) -> list[Path]:
    """Returns the logs of a run's folder, or of the run folders in a folder."""
    logs = sorted(log for log in folder.iterdir() if is_log_name(log.name) and log.is_file())
    if logs:
        return logs
    # `latest-run` is a symbolic link to one of the others.
    runs = sorted(run for run in folder.glob("*run-*") if run.is_dir() and not run.is_symlink())
    return [log for run in runs for log in sorted(run.iterdir()) if is_log_name(log.name) and log.is_file()]


def common_folder(files: Iterable[Path]) -> Path:
    """Returns the deepest folder that contains all the files.

    Args:
        files: The files; at least one.
    """
    return Path(os.path.commonpath([file.absolute().parent for file in files]))
