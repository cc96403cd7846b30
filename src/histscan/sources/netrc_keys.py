"""API keys in netrc files, where ``wandb login`` stores them."""

from __future__ import annotations

import netrc
import os
import re
import shlex
import warnings
from pathlib import Path
from urllib.parse import urlsplit

from histscan.errors import CredentialsWarning
from histscan.sources.folders import expand_home, home_folder
from histscan.sources.servers import other_netloc

__all__ = ["find_netrc_key"]


def find_netrc_key(base_url: str) -> tuple[str, Path] | None:
    """Returns a server's password from the netrc file.

    Args:
        base_url: The server's address. For W&B's own cloud, either of its two host names matches.

    Returns:
        The password and the file; None if there is none.

    Warns:
        CredentialsWarning: The file can't be read, or has the server without a password.
    """
    path = _find_file()
    if path is None:
        return None
    try:
        hosts = netrc.netrc(str(path)).hosts
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:
        # The text of the error is not quoted: it contains a word of the file, which may be the password.
        _warn(f"the netrc file {path} has a syntax error in line {_line_of(error, path)}: no API key was read from it")
        return None
    except UnicodeDecodeError:
        _warn(f"the netrc file {path} is not text: no API key was read from it")
        return None
    except OSError as error:
        _warn(f"the netrc file {path} can't be read ({error.strerror or error}): no API key was read from it")
        return None
    for name in _names_of(base_url):
        # Only exact names: a `default` entry holds the password of another service.
        login = hosts.get(name)
        if login is not None and login[2]:
            return login[2], path
        if login is not None:
            _warn(f"the netrc file {path} has an entry for {name}, but no password in it")
    return None


def _line_of(error: netrc.NetrcParseError, path: Path) -> int:
    """Returns the line of the word that caused the error, counted from 1."""
    number = error.lineno or 1
    word = re.search(r"token '(.*)'$", error.msg)
    lines = path.read_text(errors="replace").splitlines()
    # If the word is the last one of its line, netrc reports the next line.
    is_next_line = word is not None and (number > len(lines) or word[1] not in lines[number - 1])
    return max(1, number - is_next_line)


def _find_file() -> Path | None:
    named = os.environ.get("NETRC")
    if named:
        return expand_home(named)
    home = home_folder()
    if home is None:
        return None
    # `_netrc` is the file's name on Windows.
    return next((path for path in (home / ".netrc", home / "_netrc") if os.path.lexists(path)), None)


def _names_of(base_url: str) -> list[str]:
    """Returns the names that the server's entry may have. The one that wandb writes comes first."""
    parts = urlsplit(base_url)
    # wandb quotes names as shells do, and Python's netrc keeps the quotes as part of the name.
    names = [parts.netloc, shlex.quote(parts.netloc), parts.netloc.lower(), parts.hostname or ""]
    names.append(other_netloc(parts.netloc.lower()) or "")
    return [name for name in dict.fromkeys(names) if name]


def _warn(message: str) -> None:
    warnings.warn(message, CredentialsWarning, stacklevel=2)
