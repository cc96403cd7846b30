"""The user's home folder. A user may have none, as in many containers."""

from __future__ import annotations

from pathlib import Path

__all__ = ["expand_home", "home_folder"]


def home_folder() -> Path | None:
    """Returns the user's home folder; None without ``HOME`` and an entry in the password database."""
    try:
        return Path.home()
    except (RuntimeError, KeyError):
        return None


def expand_home(path: str) -> Path:
    """Replaces a leading ``~`` with the user's home folder, if there is one.

    Args:
        path: A path from an environment variable.
    """
    try:
        return Path(path).expanduser()
    except (RuntimeError, KeyError):
        return Path(path)
