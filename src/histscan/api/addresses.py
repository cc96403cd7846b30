"""Addresses of the web pages of runs and projects, as copied from a browser."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from histscan.sources.servers import api_of_page_host, app_url, is_same_server

__all__ = ["PageAddress", "is_page_address", "parse_page_address", "without_secrets"]

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
# The first part of the path in the addresses of W&B's newer pages, before the entity.
_FORGE_PREFIX = "wandb"


class PageAddress(NamedTuple):
    """The parts of the address of a web page.

    Attributes:
        base_url: The address of the server's API.
        entity: The user or team.
        project: The project's name.
        id: The run's id; None for a page of the whole project or of a sweep.
        sweep: The sweep's id; None for other pages.
    """

    base_url: str
    entity: str
    project: str
    id: str | None
    sweep: str | None = None


def is_page_address(text: str) -> bool:
    """Returns True if a text is the address of a web page. For W&B's cloud, ``https://`` may be missing.

    Args:
        text: Any text.
    """
    given = text.strip()
    host, slash, _ = given.partition("/")
    return _ADDRESS.match(given) is not None or (bool(slash) and api_of_page_host(host.lower()) is not None)


def parse_page_address(text: str, base_url: str) -> PageAddress | None:
    """Parses the address of a web page of a run or project.

    Args:
        text: ``https://wandb.ai/entity/project/runs/run_id?nw=…``, the address of a project, or one of a page below
            them such as ``/overview`` or ``/workspace``. For W&B's own cloud, ``https://`` may be missing.
        base_url: The API address of the configured server, whose pages are recognised by their host and path.

    Returns:
        The parts; None if the text is not an address.

    Raises:
        ValueError: It is an address, but not that of a run or project.
    """
    if not is_page_address(text):
        return None
    given = text.strip()
    try:
        found = _parse(given if _ADDRESS.match(given) else f"https://{given}", base_url)
    except ValueError:
        found = None
    if found is None:
        raise ValueError(
            f"{without_secrets(text)!r} is not the address of a run or project: "
            "pass one like https://wandb.ai/entity/project/runs/run_id"
        )
    return found


def without_secrets(address: str) -> str:
    """Removes user, password, query and fragment, which may be secret, from an address for an error message.

    Args:
        address: The address of a page. Any other text is returned unchanged.
    """
    if not is_page_address(address):
        return address
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", address.strip(), maxsplit=1)[0])


def _parse(address: str, base_url: str) -> PageAddress | None:
    parts = urlsplit(address)
    host, port = (parts.hostname or "").lower(), parts.port
    if not host or port == 0 or "@" in parts.netloc:
        return None
    names = [part for part in parts.path.split("/") if part]
    prefix: list[str] = []
    cloud = api_of_page_host(host)
    own = next((own for own in (app_url(base_url), base_url) if _is_below(parts.netloc, names, own)), None)
    if own is not None:
        server = base_url
        prefix = names[: len(_names_in(own))]
    elif cloud is not None:
        server = base_url if is_same_server(base_url, cloud) else cloud
        prefix = names[:1] if host.endswith("forge.coreweave.com") and names[:1] == [_FORGE_PREFIX] else []
    else:
        # A server may be installed below a path: only the fixed words after the names show where it ends.
        words = ("runs", "sweeps")
        runs_at = next((place for place, name in enumerate(names) if name in words and place >= 2), 2)
        prefix = names[: runs_at - 2]
        api_host = re.sub(r"^app\.", "api.", parts.netloc)
        server = "/".join([f"{parts.scheme.lower()}://{api_host}", *prefix])
    rest = [unquote(name) for name in names[len(prefix) :]]
    if len(rest) < 2:
        return None
    run = rest[3] if len(rest) > 3 and rest[2] == "runs" else None
    sweep = rest[3] if len(rest) > 3 and rest[2] == "sweeps" else None
    return PageAddress(server, rest[0], rest[1], run, sweep)


def _is_below(netloc: str, names: list[str], address: str) -> bool:
    """Returns True if a page's host and path begin with those of an address."""
    prefix = _names_in(address)
    return netloc.lower() == urlsplit(address).netloc.lower() and names[: len(prefix)] == prefix


def _names_in(address: str) -> list[str]:
    return [name for name in urlsplit(address).path.split("/") if name]
