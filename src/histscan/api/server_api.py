"""A W&B server, as ``wandb.Api()`` presents it to those who read runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from histscan.api.addresses import PageAddress, parse_page_address, without_secrets
from histscan.api.names import RunName, parse_project, parse_run
from histscan.api.run import Run
from histscan.api.runs import Runs
from histscan.common.lazy import cached_property
from histscan.errors import HistoryRequestError
from histscan.sources.client import Client
from histscan.sources.credentials import ApiKey
from histscan.sources.run_queries import VIEWER
from histscan.sources.settings import find_setting

__all__ = ["Api"]


class Api:
    """Finds runs on a W&B server by name; needs no wandb, and only ever reads.

    Threads may share an `Api`, its runs and their scans, and so may processes that are forked from this one. All of
    them may be pickled: ``multiprocessing.Pool().map(function, api.runs("entity/project"))``.

    Args:
        base_url: The server's address. Default: the one that wandb would use: ``WANDB_BASE_URL``, or else what
            ``./wandb/settings`` or ``~/.config/wandb/settings`` says, or else ``https://api.wandb.ai``.
        api_key: The API key. Default: ``WANDB_API_KEY``, or else the host's password in netrc; without any, requests
            are sent anonymously. It goes to the server's own address and nowhere else, and is never shown.
        timeout: Seconds to wait for a connection, and for each further part of an answer.
        retries: How many times a failed request is sent again.
        allow_http: Whether ``base_url`` may be a plain http address of another machine, where the key can be read on
            the way. This machine's own addresses are always allowed.
        pickle_key: Whether pickles of this object, its runs and their scans contain the API key, in plain text. By
            default they do not, and the key is looked up again where they are unpickled: in ``WANDB_API_KEY`` or netrc.
            Keep pickles with the key as secret as the key.

    Attributes:
        client: Asks the server; it may be used for queries of one's own.

    Raises:
        HistoryRequestError: The address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | ApiKey | None = None,
        timeout: float = 30.0,
        *,
        retries: int = 4,
        allow_http: bool = False,
        pickle_key: bool = False,
    ) -> None:
        self.client = Client(base_url, api_key, timeout, retries=retries, allow_http=allow_http, pickle_key=pickle_key)

    @cached_property
    def default_entity(self) -> str:
        """Whose runs are meant where a path names none: that of ``WANDB_ENTITY``, of the settings, or the key's owner.

        Raises:
            HistoryRequestError: There is no answer, the server knows no owner, or a settings file can't be read.
        """
        named = find_setting("entity")
        if named:
            return named
        viewer = self.client.execute(VIEWER.document).get("viewer")
        entity = viewer.get("entity") if isinstance(viewer, Mapping) else None
        if not entity:
            raise HistoryRequestError(
                f"{self.client.base_url} does not say whose runs are meant: write entity/project/run_id, "
                "set WANDB_ENTITY, or check the API key"
            )
        return str(entity)

    def run(self, path: str) -> Run:
        """Finds a run.

        Args:
            path: ``entity/project/run_id``; also ``entity/project/runs/run_id`` and ``entity/project:run_id``.
                Without an entity, `default_entity` is meant; without a project, that of ``WANDB_PROJECT`` or of a
                settings file. Or the address of the run's page in a browser.

        Returns:
            The run, which has been found on the server.

        Raises:
            HistoryRequestError: There is no answer.
            RunNotFoundError: The server knows no such run, or the API key may not see it.
            ValueError: The path names no run, or is an address on another server.
        """
        page = self._parse_address(path)
        if page is not None and page.id is None:
            raise ValueError(
                f"{without_secrets(path)!r} is the address of a project: pass that of a run, or use `runs`"
            )
        if page is None or page.id is None:
            name = parse_run(path, lambda: self.default_entity)
        else:
            name = RunName(page.entity, page.project, page.id)
        run = Run(self.client, name)
        run.load()
        return run

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
    ) -> Runs:
        """Lists the runs of a project.

        Args:
            path: ``entity/project``. Without an entity, `default_entity` is meant; None is the project of
                ``WANDB_PROJECT`` or of a settings file. Or the address of the project's page in a browser.
            filters: What the runs have to be like, in MongoDB's language: ``{"state": "finished"}``,
                ``{"config.batch_size": {"$gte": 32}}``, ``{"display_name": {"$regex": "^base"}}``. None for all.
            order: What to sort by: ``"created_at"``, ``"heartbeat_at"``, ``"config.….value"`` or
                ``"summary_metrics.…"``; with ``-`` before it the highest come first, with ``+`` the lowest.
            per_page: Runs of a request.

        Returns:
            The runs, which are asked for when they are iterated over.

        Raises:
            ValueError: The path names no project, or is an address on another server.
        """
        page = None if path is None else self._parse_address(path)
        names = parse_project(path, lambda: self.default_entity) if page is None else (page.entity, page.project)
        return Runs(self.client, *names, filters, order, per_page)

    def _parse_address(self, path: str) -> PageAddress | None:
        """Reads a path that is an address of this server; None if it is no address."""
        page = parse_page_address(path, self.client.base_url) if isinstance(path, str) else None
        if page is not None and page.base_url != self.client.base_url:
            raise ValueError(
                f"{without_secrets(path)!r} is not on {self.client.base_url}: "
                f"use histscan.Api('{page.base_url}') for it"
            )
        return page

    def __repr__(self) -> str:
        return f"<histscan.Api of {self.client!r}>"
