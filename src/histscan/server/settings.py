"""The options of a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from histscan.server.simulation import Fault

__all__ = ["ANY_KEY", "DEFAULT_PORT", "LOOPBACK_HOSTS", "ServerSettings"]

DEFAULT_PORT = 8090
ANY_KEY = "0" * 40
"""What stands for an API key where none is checked: wandb insists on 40 characters."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class ServerSettings:
    """The settings of a server.

    Attributes:
        paths: ``.wandb`` logs, exported Parquet files, and folders that are searched for both.
        host: The address to listen at; of this machine alone by default.
        port: The port to listen at; 0 for any that is free.
        api_key: The key that clients must send; None to take any and none.
        entity: Of runs that were recorded without an entity, and of the viewer. None for the entity of the runs, if
            they all have the same, or else ``local``.
        project: Of runs that were recorded without a project.
        skip_corrupt: Skip corrupt parts of logs instead of answering with an error.
        cache_size: Bytes that decoded rows may take in memory.
        export: Which runs have their history exported as Parquet: ``"finished"`` ones, ``"all"``, or ``"none"``.
        live_rows: How many of an exported run's last rows are left out of the export, as if it were behind.
        export_rows: Rows in one exported file.
        latency: Seconds that pass before each answer.
        rate_limit: Requests a second that are answered; None for any number.
        faults: Faults to show.
        verbose: Print each request.
    """

    paths: Sequence[Path]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    api_key: str | None = field(default=None, repr=False)
    entity: str | None = None
    project: str = "uncategorized"
    skip_corrupt: bool = False
    cache_size: int = 1 << 30
    export: str = "finished"
    live_rows: int = 0
    export_rows: int = 1_000_000
    latency: float = 0.0
    rate_limit: float | None = None
    faults: Sequence[Fault] = ()
    verbose: bool = False
