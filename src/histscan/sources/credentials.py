"""Finds the server's address and the API key. A key is never shown, and never sent unencrypted by accident."""

from __future__ import annotations

import os
import warnings
from urllib.parse import urlsplit

from histscan.errors import CredentialsWarning, HistoryRequestError
from histscan.sources.netrc_keys import find_netrc_key
from histscan.sources.servers import DEFAULT_BASE_URL, check_is_api, is_same_server
from histscan.sources.settings import find_in_files, read_settings_files

__all__ = ["ApiKey", "find_api_key", "find_base_url", "find_key_of_host", "is_this_machine"]


class ApiKey:
    """An API key and its source. ``repr`` does not show the key.

    Args:
        text: The key itself.
        source: Where it was found, for error messages.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source

    def __repr__(self) -> str:
        return f"<API key from {self.source}>"

    @classmethod
    def of_argument(cls, api_key: str | ApiKey | None) -> ApiKey | None:
        """Wraps the key that a caller passed, so that no printout of local variables shows it.

        Args:
            api_key: The key, or None if none was passed.
        """
        return cls(api_key.strip(), "the argument `api_key`") if isinstance(api_key, str) else api_key


def find_base_url(base_url: str | None, *, allow_http: bool) -> str:
    """Returns the server's address, without a slash at its end.

    Args:
        base_url: The address; None means ``WANDB_BASE_URL``, else that of the settings files, else W&B's own server.
        allow_http: Allow plain http to other machines.

    Returns:
        The address as scheme, host, optional port and optional path.

    Raises:
        HistoryRequestError: The address is invalid, or would send the key unencrypted to another machine; or a
            settings file, which may contain the address, can't be read.
    """
    given, source = (base_url, "") if base_url is not None else _find_address()
    address = given.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise HistoryRequestError(f"the base URL{source} is not a valid address: check its host and port") from None
    if parts.username is not None or parts.password is not None:
        # Not quoted in the message: what comes before the "@" is probably a secret.
        raise HistoryRequestError(
            f"the base URL{source} must not contain a user or password: pass the key as `api_key`"
        )
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
        # Not quoted either: it may be the key, passed in the wrong place.
        raise HistoryRequestError(f"the base URL{source} must be like `{DEFAULT_BASE_URL}`: https://, then a host")
    address = check_is_api(address)
    if parts.scheme == "http" and not allow_http and not is_this_machine(host):
        raise HistoryRequestError(
            f"the base URL `{address}`{source} would send the API key unencrypted: use https, "
            "or pass `allow_http=True` if you trust the network"
        )
    return address


def find_api_key(base_url: str, api_key: str | ApiKey | None) -> ApiKey | None:
    """Returns the key to log in with: the given one, else ``WANDB_API_KEY``, else the one stored for the host.

    Args:
        base_url: The server's address.
        api_key: The key that the caller gave, if any.

    Returns:
        The key and its source; None if there is none.

    Raises:
        HistoryRequestError: The key is empty or contains characters that keys can't have.

    Warns:
        CredentialsWarning: The netrc file or a settings file can't be read.
    """
    key = api_key = ApiKey.of_argument(api_key)
    if key is None:
        environment = ApiKey(os.environ.get("WANDB_API_KEY", "").strip(), "the environment variable WANDB_API_KEY")
        key = environment if environment.text else find_key_of_host(base_url)
    if key is not None and not (key.text.isascii() and key.text.isprintable() and key.text and " " not in key.text):
        raise HistoryRequestError(
            f"the API key from {key.source} is empty, or has spaces or other characters that keys can't have: "
            "copy it again"
        )
    return key


def find_key_of_host(base_url: str) -> ApiKey | None:
    """Returns the key stored for a server: its password in netrc, else the key of a settings file for this server.

    Args:
        base_url: The server's address.

    Returns:
        The key and its source; None if there is none.

    Warns:
        CredentialsWarning: The netrc file or a settings file can't be read.
    """
    found = find_netrc_key(base_url)
    if found is not None:
        return ApiKey(found[0], f"the netrc file {found[1]}")
    try:
        files = read_settings_files()
    except HistoryRequestError as error:
        warnings.warn(f"no API key was read from the settings files: {error}", CredentialsWarning, stacklevel=2)
        return None
    for file in files:
        key = file.values.get("api_key", "").strip()
        # A file's key belongs to the server that the same file names.
        own_server = file.values.get("base_url", DEFAULT_BASE_URL).strip().rstrip("/")
        if key and is_same_server(own_server, base_url):
            return ApiKey(key, f"the settings file {file.path}")
    return None


def _find_address() -> tuple[str, str]:
    """Returns the configured address, and where it was found, for error messages."""
    given = os.environ.get("WANDB_BASE_URL", "").strip()
    if given:
        return given, " in WANDB_BASE_URL"
    given, file = find_in_files("base_url")
    return (given, f" in {file}") if given else (DEFAULT_BASE_URL, "")


def is_this_machine(host: str) -> bool:
    """Returns True if a host is this machine: ``localhost`` or a loopback address.

    Args:
        host: The host, without a port.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
