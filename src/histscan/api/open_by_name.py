"""Opening a run on a server by its name, or by the address of its page."""

from __future__ import annotations

import glob
import os

from histscan.api.addresses import is_page_address, parse_page_address, without_secrets
from histscan.api.names import looks_like_name
from histscan.api.run import Run
from histscan.api.server_api import Api
from histscan.errors import HistoryRequestError, RunNotFoundError
from histscan.sources.credentials import find_base_url, find_key_of_host
from histscan.sources.servers import is_same_server

__all__ = ["open_by_name"]


def open_by_name(path: str) -> Run | None:
    """Opens the run on a server that a text names.

    Args:
        path: A text that is not the path of a file or folder.

    Returns:
        The run; None if the text is a pattern of paths.

    Raises:
        FileNotFoundError: The text looks like the path of a file, which is missing.
        HistoryRequestError: The server gives no answer; or the API key is meant for another server than the one in the
            address.
        RunNotFoundError: The server knows no such run.
        ValueError: It is the address of something else than a run.
    """
    if is_page_address(path):
        return _open_page(path)
    if not looks_like_name(path):
        if glob.has_magic(path):
            return None
        raise FileNotFoundError(
            f"there is no file or folder {path!r}. To open a run on a W&B server, write entity/project/run_id, "
            "or the address of its page"
        )
    if glob.has_magic(path) and glob.glob(path, recursive=True):
        return None
    api = Api()
    try:
        return api.run(path)
    except RunNotFoundError as error:
        error.reason = f"{error.reason} (asked was {api.client.base_url}, as there is no such file either)"
        raise


def _open_page(path: str) -> Run:
    configured = find_base_url(None, allow_http=True)
    page = parse_page_address(path, configured)
    if page is None or page.id is None:
        names = "" if page is None else f"'{page.entity}/{page.project}'"
        raise ValueError(
            f"{without_secrets(path)!r} is the address of a project: pass that of one run, or list its runs with "
            f"histscan.Api().runs({names})"
        )
    if is_same_server(page.base_url, configured):
        return Api().run(path)
    key = find_key_of_host(page.base_url)
    if key is None and os.environ.get("WANDB_API_KEY", "").strip():
        # The environment's key belongs to the configured server: an address that was pasted must not change that.
        raise HistoryRequestError(
            f"{without_secrets(path)!r} is on another server than {configured}, which the key in WANDB_API_KEY is for: "
            f"set WANDB_BASE_URL to {page.base_url}, or use histscan.Api('{page.base_url}', key).run(…)"
        )
    return Api(page.base_url, key).run(path)
