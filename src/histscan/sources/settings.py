"""wandb's settings: environment variables, ``./wandb/settings``, ``~/.config/wandb/settings``.

``wandb init`` and ``wandb login --host`` write the files. Most settings concern logging; histscan reads the server's
address, the default entity and project, and the API key, which wandb 0.31.0 accepts there.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import NamedTuple

from histscan.errors import HistoryRequestError
from histscan.sources.folders import expand_home, home_folder

__all__ = ["SettingsFile", "find_in_files", "find_setting", "read_settings_files"]

# The only section that wandb reads.
_SECTION = "default"


class SettingsFile(NamedTuple):
    """A settings file.

    Attributes:
        path: The file.
        values: Its settings, as text.
    """

    path: Path
    values: dict[str, str]


def find_setting(name: str) -> str:
    """Returns a setting: the environment variable if it is set, even to nothing, else the value in the files.

    Args:
        name: ``"entity"`` or ``"project"``, for ``WANDB_ENTITY`` or ``WANDB_PROJECT`` in the environment.

    Returns:
        The value; empty if there is none.

    Raises:
        HistoryRequestError: A settings file can't be read.
    """
    value = os.environ.get(f"WANDB_{name.upper()}")
    if value is None:
        value = find_in_files(name)[0]
    return value.strip()


def find_in_files(name: str) -> tuple[str, str]:
    """Returns a setting from the settings files. The file of the folder takes precedence over that of the user.

    Args:
        name: The setting's name, such as ``"base_url"``.

    Returns:
        The value and its file; both are empty if no file has the setting.

    Raises:
        HistoryRequestError: A settings file can't be read.
    """
    for file in read_settings_files():
        value = file.values.get(name)
        if value is not None:
            return value.strip(), str(file.path)
    return "", ""


def read_settings_files() -> list[SettingsFile]:
    """Reads the existing settings files, in order of precedence.

    Raises:
        HistoryRequestError: One can't be read. Since it may name another server, the default one must not be used.
    """
    candidates = (_folder_settings(), _user_settings())
    return [SettingsFile(path, values) for path in candidates if path is not None and (values := _read(path))]


def _folder_settings() -> Path | None:
    """Returns the settings file of ``WANDB_DIR``, else of the working folder."""
    try:
        root = os.environ.get("WANDB_DIR") or os.getcwd()
    except FileNotFoundError:
        # The working folder was deleted.
        return None
    name = ".wandb" if _exists(Path(root, ".wandb")) else "wandb"
    return expand_home(os.path.join(root, name)) / "settings"


def _user_settings() -> Path | None:
    own = os.environ.get("WANDB_CONFIG_DIR")
    if own:
        return expand_home(own) / "settings"
    home = home_folder()
    return None if home is None else home / ".config" / "wandb" / "settings"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _read(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
        return dict(parser.items(_SECTION))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, configparser.NoSectionError):
        return {}
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except configparser.Error as error:
        # The text of the error is not quoted: it contains the line, which may hold a key.
        reason = f"{_line_of(error)} is not of the form `name = value` in a section [{_SECTION}]"
    raise HistoryRequestError(
        f"the settings file {path}, which may contain the address of a W&B server, can't be read: {reason}. "
        "Correct or remove the file, or set WANDB_BASE_URL, WANDB_ENTITY and WANDB_PROJECT"
    )


def _line_of(error: configparser.Error) -> str:
    lines = [line for line, _ in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
    option = getattr(error, "option", None)
    if lines[0] is not None:
        return f"line {lines[0]}"
    return f"the value of `{option}`" if option else "a line"
