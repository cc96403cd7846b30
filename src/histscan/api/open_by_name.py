"""Opens a run, a project or a sweep on a server by its name, or by the address of its web page."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

from histscan.api.addresses import PageAddress, is_page_address, parse_page_address, without_secrets
from histscan.api.names import looks_like_name, parse_runs
from histscan.api.run import Run
from histscan.api.runs import ProjectRuns
from histscan.api.server_api import Api
from histscan.errors import HistoryRequestError, RunNotFoundError
from histscan.many.filters import DEFAULT_ORDER
from histscan.sources.credentials import find_base_url, find_key_of_host
from histscan.sources.servers import is_same_server

__all__ = ["open_by_name", "open_runs_by_name"]


def open_by_name(path: str) -> Run | None:
    """Opens a run on a server.

    Args:
        path: The run's name, or the address of its page. There must be no file or folder of this name.

    Returns:
        The run; None if the text is a pattern of paths.

    Raises:
        FileNotFoundError: The text looks like the path of a file, which does not exist.
        HistoryRequestError: There is no answer; or the API key belongs to another server than that of the address.
        RunNotFoundError: The server has no such run.
        ValueError: It is an address, but not that of a run.
    """
    if is_page_address(path):
        return _open_page(path)
    if not looks_like_name(path):
        if glob.has_magic(path):
            return None
        raise FileNotFoundError(
            f"there is no file or folder {path!r}. To open a run on a W&B server, write entity/project/run_id, "
            "or the address of its web page"
        )
    if glob.has_magic(path) and glob.glob(path, recursive=True):
        return None
    api = Api()
    try:
        return api.run(path)
    except RunNotFoundError as error:
        error.reason = f"{error.reason} (requested from {api.client.base_url}, because there is no such file either)"
        raise


def open_runs_by_name(where: str, filters: Mapping[str, Any] | None, order: str | None) -> ProjectRuns | None:
    """Opens the runs of a project or of a sweep on a server.

    Args:
        where: ``entity/project``, ``entity/project/sweep_id`` (also with ``sweeps/`` before the id), or the address of
            the page of a project or sweep. There must be no file or folder of this name.
        filters: As for `histscan.Api.runs`.
        order: As for `histscan.Api.runs`; None for its default.

    Returns:
        The runs, which are requested when they are needed; None if the text is a pattern of paths.

    Raises:
        FileNotFoundError: The text looks like the path of a file or folder, which does not exist.
        HistoryRequestError: The API key belongs to another server than that of the address.
        ValueError: It is an address, but not that of a project or sweep.
    """
    if is_page_address(where):
        page = parse_page_address(where, find_base_url(None, allow_http=True))
        if page is None or page.id is not None:
            raise ValueError(f"{without_secrets(where)!r} is the address of one run: open it with histscan.open()")
        api, entity, project, sweep = _api_of(page, where), page.entity, page.project, page.sweep
    else:
        found = parse_runs(where)
        if found is None:
            if glob.has_magic(where):
                return None
            raise FileNotFoundError(
                f"there is no file or folder {where!r}. To open the runs of a project on a W&B server, write "
                "entity/project, or the address of its web page"
            )
        if glob.has_magic(where) and glob.glob(where, recursive=True):
            return None
        api, (entity, project, sweep) = Api(), found
    runs = ProjectRuns(api.client, entity, project, filters, order or DEFAULT_ORDER)
    return runs if sweep is None else runs.filter({"sweep": sweep})


def _open_page(path: str) -> Run:
    page = parse_page_address(path, find_base_url(None, allow_http=True))
    if page is None or page.id is None:
        names = "" if page is None else f"'{page.entity}/{page.project}'"
        raise ValueError(
            f"{without_secrets(path)!r} is the address of a project: pass that of one run, or open all of its runs "
            f"with histscan.open_runs({names})"
        )
    return _api_of(page, path).run(path)


def _api_of(page: PageAddress, path: str) -> Api:
    """Returns the API of the server of a page, with the key of that server."""
    configured = find_base_url(None, allow_http=True)
    if is_same_server(page.base_url, configured):
        return Api()
    key = find_key_of_host(page.base_url)
    if key is None and os.environ.get("WANDB_API_KEY", "").strip():
        # The environment's key belongs to the configured server: it must not be sent to the server of a pasted address.
        raise HistoryRequestError(
            f"{without_secrets(path)!r} is not on {configured}, to which the key in WANDB_API_KEY belongs: "
            f"set WANDB_BASE_URL to {page.base_url}, or use histscan.Api('{page.base_url}', key)"
        )
    return Api(page.base_url, key)
