"""API keys in netrc files, where ``wandb login`` puts them."""

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
    """Returns the password that the netrc file has for a server.

    Args:
        base_url: The server's address.

    Returns:
        The password and the file; None if there is none. Of W&B's own cloud, either name will do.

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
        # What netrc says repeats a word of the file, which may be the password.
        _warn(f"the netrc file {path} is not in order at line {_line_of(error, path)}: no API key was read from it")
        return None
    except UnicodeDecodeError:
        _warn(f"the netrc file {path} is not text: no API key was read from it")
        return None
    except OSError as error:
        _warn(f"the netrc file {path} can't be read, nor any API key in it: {error.strerror or error}")
        return None
    for name in _names_of(base_url):
        # By exact name only: a `default` entry holds the password of some other service.
        login = hosts.get(name)
        if login is not None and login[2]:
            return login[2], path
        if login is not None:
            _warn(f"the netrc file {path} has an entry for {name}, but no password in it")
    return None


def _line_of(error: netrc.NetrcParseError, path: Path) -> int:
    """The line of a word that netrc did not expect, counted from 1."""
    number = error.lineno or 1
    word = re.search(r"token '(.*)'$", error.msg)
    lines = path.read_text(errors="replace").splitlines()
    # Where the word is the last one of its line, netrc has gone on to the next line.
    has_gone_on = word is not None and (number > len(lines) or word[1] not in lines[number - 1])
    return max(1, number - has_gone_on)


def _find_file() -> Path | None:
    named = os.environ.get("NETRC")
    if named:
        return expand_home(named)
    home = home_folder()
    if home is None:
        return None
    # The second is what the file is called on Windows.
    return next((path for path in (home / ".netrc", home / "_netrc") if os.path.lexists(path)), None)


def _names_of(base_url: str) -> list[str]:
    """The names that the server's entry may have, the one that wandb writes first."""
    parts = urlsplit(base_url)
    # wandb quotes a name as shells do, and Python's netrc takes those quotes for a part of it.
    names = [parts.netloc, shlex.quote(parts.netloc), parts.netloc.lower(), parts.hostname or ""]
    names.append(other_netloc(parts.netloc.lower()) or "")
    return [name for name in dict.fromkeys(names) if name]


def _warn(message: str) -> None:
    warnings.warn(message, CredentialsWarning, stacklevel=2)
