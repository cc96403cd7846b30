"""The addresses of W&B's own servers, and the relation between the addresses of a server's API and its web pages.

W&B's public cloud has two names, ``api.wandb.ai`` and, since wandb 0.31.0, ``api.forge.coreweave.com``. Keys, runs and
projects are the same under both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from histscan.errors import HistoryRequestError

__all__ = [
    "DEFAULT_BASE_URL",
    "api_of_page_host",
    "app_url",
    "check_is_api",
    "is_same_server",
    "other_netloc",
    "run_url",
]

# Every release of wandb supports it, and firewalls allow it; the default of 0.31.0 is the other name.
DEFAULT_BASE_URL = "https://api.wandb.ai"

# Host of the web pages → both hosts of the API.
_CLOUDS = {
    "forge.coreweave.com": ("api.forge.coreweave.com", "api.wandb.ai"),
    "qa.forge.coreweave.com": ("api.qa.forge.coreweave.com", "api.qa.wandb.ai"),
}
_OLD_PAGE_HOSTS = frozenset({"wandb.ai", "www.wandb.ai", "app.wandb.ai"})
_FORGE_API_PATH = "/api/wandb"
_FORGE_PAGES_PATH = "/wandb"


def check_is_api(address: str) -> str:
    """Rejects the address of W&B's web pages where that of the API is needed.

    Args:
        address: A server's address, without a slash at its end.

    Returns:
        The address; for a proxy of W&B, the address of the API behind it.

    Raises:
        HistoryRequestError: It is the address of web pages, or has plain http; the message has the right address.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host in _CLOUDS:
        right = f"https://{_CLOUDS[host][0]}"
        if parts.scheme == "https" and parts.port is None and parts.path == _FORGE_API_PATH:
            return right
        raise _is_page(address, right)
    if host != "wandb.ai" and not host.endswith(".wandb.ai"):
        return address
    if "api." not in host:
        raise _is_page(address, DEFAULT_BASE_URL)
    if parts.scheme != "https":
        raise HistoryRequestError(f"the base URL `{address}` would send the API key unencrypted: use https://{host}")
    return address


def _is_page(address: str, right: str) -> HistoryRequestError:
    return HistoryRequestError(f"the base URL `{address}` is the address of web pages: pass that of the API, {right}")


def app_url(base_url: str) -> str:
    """Returns the address of a server's web pages, as wandb 0.31.0 does: ``WANDB_APP_URL``, else from that of the API.

    Args:
        base_url: The address of the API.

    Returns:
        The address, without a slash at its end.
    """
    given = os.environ.get("WANDB_APP_URL", "").strip().rstrip("/")
    if given:
        return given
    pages = _pages_host(base_url)
    if pages is not None:
        return f"https://{pages}{_FORGE_PAGES_PATH}"
    if "://api.wandb." in base_url and "://api.wandb.test" not in base_url:
        return base_url.replace("://api.", "://", 1)
    return base_url.replace("://api.", "://app.", 1)


def run_url(base_url: str, path: Sequence[str]) -> str:
    """Returns the address of a run's web page.

    Args:
        base_url: The address of the API.
        path: Entity, project and id of the run.

    Returns:
        The address.
    """
    entity, project, run = (quote(part, safe="") for part in path)
    return f"{app_url(base_url)}/{entity}/{project}/runs/{run}"


def api_of_page_host(host: str) -> str | None:
    """Returns the address of the API that belongs to web pages of W&B's cloud.

    Args:
        host: The host of the pages.

    Returns:
        The address; None for all other hosts.
    """
    if host in _OLD_PAGE_HOSTS:
        return DEFAULT_BASE_URL
    return f"https://{_CLOUDS[host][1]}" if host in _CLOUDS else None


def is_same_server(base_url: str, other: str) -> bool:
    """Returns True if two addresses are equal, or are the two names of one of W&B's clouds.

    Args:
        base_url: The address of an API.
        other: The address of another API.
    """
    return base_url == other or _pages_host(base_url) == _pages_host(other) is not None


def other_netloc(netloc: str) -> str | None:
    """Returns the other name of one of W&B's clouds; None if it has none.

    Args:
        netloc: A host, with a port if it has one.
    """
    for first, second in _CLOUDS.values():
        if netloc in (first, second):
            return second if netloc == first else first
    return None


def _pages_host(base_url: str) -> str | None:
    host = urlsplit(base_url).hostname
    return next((pages for pages, apis in _CLOUDS.items() if host in apis), None)
