"""Which server to ask, and with which API key; a key is never shown, and never sent in the clear by accident."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from histscan.errors import HistoryRequestError

__all__ = ["DEFAULT_BASE_URL", "ApiKey", "find_api_key", "find_base_url"]

DEFAULT_BASE_URL = "https://api.wandb.ai"


class ApiKey:
    """An API key and where it was found; its representation does not show it.

    Args:
        text: The key itself.
        source: Where it was found, in words for an error message.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source


def find_base_url(base_url: str | None, *, allow_http: bool) -> str:
    """Returns the server's address, without a slash at its end.

    Args:
        base_url: The address; None means ``WANDB_BASE_URL``, or else W&B's own server.
        allow_http: Whether plain http is allowed beyond this machine.

    Returns:
        The address as scheme, host, optional port and optional path.

    Raises:
        HistoryRequestError: The address cannot be used, or would send the key unencrypted to another machine.
    """
    given = base_url if base_url is not None else os.environ.get("WANDB_BASE_URL") or DEFAULT_BASE_URL
    address = given.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise HistoryRequestError("the base URL is not a valid address: check its host and port") from None
    if parts.username is not None or parts.password is not None:
        # Not repeated in the message: what stands before the "@" is most likely a secret.
        raise HistoryRequestError("the base URL must not contain a user or password: pass the key as `api_key`")
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
        # Nor is this one repeated: it may well be the key, given in the wrong place.
        raise HistoryRequestError(f"the base URL must be like `{DEFAULT_BASE_URL}`: https://, then a host")
    if parts.scheme == "http" and not allow_http and not _is_this_machine(host):
        raise HistoryRequestError(
            f"the base URL `{address}` would send the API key unencrypted: use https, "
            "or pass `allow_http=True` if you trust the network in between"
        )
    return address


def find_api_key(base_url: str, api_key: str | None) -> ApiKey | None:
    """Returns the key to log in with: the one given, else that of ``WANDB_API_KEY``, else the host's in netrc.

    Args:
        base_url: The server's address.
        api_key: The key the caller gave, if any.

    Returns:
        The key and its source, or None when there is none.

    Raises:
        HistoryRequestError: The key contains characters that no key has.
    """
    environment = os.environ.get("WANDB_API_KEY")
    if api_key is not None:
        key: ApiKey | None = ApiKey(api_key.strip(), "the argument `api_key`")
    elif environment and environment.strip():
        key = ApiKey(environment.strip(), "the environment variable WANDB_API_KEY")
    else:
        key = _find_netrc_key(urlsplit(base_url))
    if key is not None and not (key.text.isascii() and key.text.isprintable() and key.text and " " not in key.text):
        raise HistoryRequestError(
            f"the API key from {key.source} is empty or has spaces or other characters that no key has: copy it again"
        )
    return key


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _find_netrc_key(address: SplitResult) -> ApiKey | None:
    import netrc

    named = os.environ.get("NETRC")
    candidates = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for path in candidates:
        try:
            hosts = netrc.netrc(str(path)).hosts
        except (OSError, UnicodeDecodeError, netrc.NetrcParseError):
            continue
        # By exact host only: a `default` entry holds the password of some other service.
        login = hosts.get(address.hostname or "")
        if login is not None and login[2]:
            return ApiKey(login[2], f"the netrc file {path}")
    return None
