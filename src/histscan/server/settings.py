"""The settings of a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from histscan.server.limits import ServerLimits
from histscan.server.simulation import Fault

__all__ = ["ANY_KEY", "DEFAULT_PORT", "LOOPBACK_HOSTS", "ServerSettings"]

DEFAULT_PORT = 8090
ANY_KEY = "0" * 40
"""A placeholder for a server that checks no API key: wandb requires 40 characters."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class ServerSettings:
    """The settings of a server.

    Attributes:
        paths: ``.wandb`` logs, exported Parquet files, and folders that are searched for both.
        host: The address to listen on; by default only reachable from this machine.
        port: The port to listen on; 0 for a free one.
        api_key: The key that clients must send; None to accept any key, and requests without a key.
        tls_cert: The file with the server's certificate and those that certify it, for https; None for http.
        tls_key: The file with the certificate's private key; None if it is in the same file.
        allow_http: Accept the key over http from other machines.
        entity: The entity of runs recorded without one, and of the viewer. None for the entity that all runs share,
            or else ``local``.
        project: The project of runs recorded without one.
        skip_corrupt: Skip corrupt parts of logs instead of responding with an error.
        cache_size: The maximum memory of cached rows, in bytes.
        export: The runs whose history is exported to Parquet files: ``"finished"``, ``"all"``, or ``"none"``.
        live_rows: The number of last rows that are left out of the exported files, as W&B's export lags behind a run.
        export_rows: The number of rows per exported file.
        latency: The delay before each response, in seconds.
        rate_limit: The number of requests allowed per second; None for no limit.
        faults: The faults to simulate.
        verbose: Print each request.
        limits: The limits of requests and answers.
    """

    paths: Sequence[Path]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    api_key: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allow_http: bool = False
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
    limits: ServerLimits = field(default_factory=ServerLimits)
