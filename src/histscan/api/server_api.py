"""A W&B server, with the part of ``wandb.Api()`` that reads runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from histscan.api.addresses import PageAddress, parse_page_address, without_secrets
from histscan.api.names import RunName, parse_project, parse_run
from histscan.api.run import Run
from histscan.api.runs import ProjectRuns
from histscan.common.lazy import cached_property
from histscan.errors import HistoryRequestError
from histscan.sources.client import Client
from histscan.sources.credentials import ApiKey
from histscan.sources.run_queries import VIEWER
from histscan.sources.settings import find_setting

__all__ = ["Api"]


class Api:
    """Finds runs on a W&B server by name. Does not need wandb, and never writes.

    An `Api`, its runs and their scans are thread-safe, and work in forked processes. All of them can be pickled:
    ``multiprocessing.Pool().map(function, api.runs("entity/project"))``.

    Args:
        base_url: The server's address. Default: the one that wandb would use: ``WANDB_BASE_URL``, else that of
            ``./wandb/settings`` or ``~/.config/wandb/settings``, else ``https://api.wandb.ai``.
        api_key: The API key. Default: ``WANDB_API_KEY``, else the host's password in netrc; without a key, requests
            are sent anonymously. It is sent only to the server's own address, and is never shown.
        timeout: Seconds to wait for a connection, and for each further part of an answer.
        retries: How many times to retry a failed request.
        allow_http: Allow a ``base_url`` with plain http on another machine, where the key can be read on the network.
            Addresses of this machine are always allowed.
        pickle_key: Whether pickles of this object, its runs and their scans contain the API key, in plain text. By
            default they do not, and the key is looked up again where they are unpickled: in ``WANDB_API_KEY`` or netrc.
            Keep pickles with the key as secret as the key.
        max_answer: The most bytes of an answer, decompressed. Default: ``HISTSCAN_MAX_ANSWER`` (a size such as
            ``2G``), else 512 MiB.
        max_file: The most bytes of a file of a run that is downloaded. Default: ``HISTSCAN_MAX_FILE``, else 16 GiB.

    Attributes:
        client: The client of the server, which can also be used for other queries.

    Raises:
        HistoryError: A limit in the environment is not a size.
        HistoryRequestError: The address or the key is invalid.
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
        max_answer: int | None = None,
        max_file: int | None = None,
    ) -> None:
        api_key = ApiKey.of_argument(api_key)
        self.client = Client(
            base_url,
            api_key,
            timeout,
            retries=retries,
            allow_http=allow_http,
            pickle_key=pickle_key,
            max_answer=max_answer,
            max_file=max_file,
        )

    @cached_property
    def default_entity(self) -> str:
        """The entity of paths without one: that of ``WANDB_ENTITY``, of the settings files, or the owner of the key.

        Raises:
            HistoryRequestError: There is no answer, the key has no owner, or a settings file can't be read.
        """
        named = find_setting("entity")
        if named:
            return named
        viewer = self.client.execute(VIEWER.document).get("viewer")
        entity = viewer.get("entity") if isinstance(viewer, Mapping) else None
        if not entity:
            raise HistoryRequestError(
                f"the path has no entity, and {self.client.base_url} has no default for this API key: write "
                "entity/project/run_id, set WANDB_ENTITY, or check the API key"
            )
        return str(entity)

    def run(self, path: str) -> Run:
        """Finds a run.

        Args:
            path: ``entity/project/run_id``; also ``entity/project/runs/run_id`` and ``entity/project:run_id``.
                Without an entity, `default_entity` is used; without a project, that of ``WANDB_PROJECT`` or of a
                settings file. Or the address of the run's page in a browser.

        Returns:
            The run, whose description was fetched from the server.

        Raises:
            HistoryRequestError: There is no answer.
            RunNotFoundError: The server has no such run, or the API key has no access to it.
            ValueError: The path is not that of a run, or is an address on another server.
        """
        page = self._parse_address(path)
        if page is not None and page.id is None:
            raise ValueError(
                f"{without_secrets(path)!r} is the address of a project: pass that of a run, or use Api.runs()"
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
    ) -> ProjectRuns:
        """Lists the runs of a project.

        Args:
            path: ``entity/project``. Without an entity, `default_entity` is used; None is the project of
                ``WANDB_PROJECT`` or of a settings file. Or the address of the page of the project, or of a sweep, in a
                browser.
            filters: The conditions that runs must meet, in MongoDB's query language: ``{"state": "finished"}``,
                ``{"config.batch_size": {"$gte": 32}}``, ``{"display_name": {"$regex": "^base"}}``. None for all runs.
            order: What to sort by: ``"created_at"``, ``"heartbeat_at"``, ``"config.….value"`` or
                ``"summary_metrics.…"``; with ``-`` before it in descending order, with ``+`` in ascending order.
            per_page: Runs per request.

        Returns:
            The runs, which are requested when they are iterated over.

        Raises:
            ValueError: The path is not that of a project, or is an address on another server.
        """
        page = None if path is None else self._parse_address(path)
        names = parse_project(path, lambda: self.default_entity) if page is None else (page.entity, page.project)
        found = ProjectRuns(self.client, *names, filters, order, per_page)
        return found if page is None or page.sweep is None else found.filter({"sweep": page.sweep})

    def _parse_address(self, path: str) -> PageAddress | None:
        """Parses a path that is an address on this server; returns None if it is not an address."""
        page = parse_page_address(path, self.client.base_url) if isinstance(path, str) else None
        if page is not None and page.base_url != self.client.base_url:
            raise ValueError(
                f"{without_secrets(path)!r} is not on {self.client.base_url}: "
                f"use histscan.Api('{page.base_url}') for it"
            )
        return page

    def __repr__(self) -> str:
        return f"<histscan.Api of {self.client!r}>"
