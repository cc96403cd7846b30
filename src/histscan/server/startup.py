"""Starts a server, and prints how to reach it."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from histscan.common.printable import printable
from histscan.common.temporary import TemporaryFolder
from histscan.errors import HistoryError, LogTruncatedWarning
from histscan.server.app import HistoryApp
from histscan.server.catalogue import Catalogue
from histscan.server.protocol import limited_protocol
from histscan.server.settings import ANY_KEY, LOOPBACK_HOSTS, ServerSettings
from histscan.server.stopping import ExitInTime

__all__ = ["serve"]

_log = logging.getLogger("histscan.server")


def serve(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serves runs until the process is stopped.

    Args:
        settings: The settings.
        announce: Called with each of the two lines for a client's shell, once the server accepts connections.

    Raises:
        FileNotFoundError: One of the paths does not exist.
        HistoryError: A file can't be served, the certificate can't be used, or other machines could reach the server
            without an API key, or without TLS.
        OSError: The server can't listen on the address.
    """
    _check_exposure(settings)
    _log_to_stderr()
    # A log that is still being written usually ends within a record.
    warnings.simplefilter("ignore", LogTruncatedWarning)
    with TemporaryFolder() as folder, _listen(settings) as listener:
        catalogue = Catalogue(settings, folder.path)
        app = HistoryApp(settings, catalogue)
        server = _Server(_config(app, settings), settings.limits.wait)
        host, port = listener.getsockname()[:2]
        for line in environment(settings, host, port):
            announce(line)
        _log.info("%s", _overview(catalogue))
        server.exit_in_time(app.workers.stop, folder.remove)
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that ends in time after a signal.

    Args:
        config: The configuration.
        handshake: The seconds to wait for a TLS handshake.
    """

    def __init__(self, config: uvicorn.Config, handshake: int) -> None:
        super().__init__(config)
        self._handshake = handshake
        self._exit: ExitInTime | None = None

    def exit_in_time(self, stop: Callable[[], object], clean_up: Callable[[], object]) -> None:
        """Ends the process after a signal.

        Args:
            stop: Called at once.
            clean_up: Called if the process does not end by itself.
        """
        self._exit = ExitInTime(stop, clean_up)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.is_ssl:
            loop: Any = asyncio.get_running_loop()
            # uvicorn has no option for it, and asyncio's default is a minute.
            loop.create_server = functools.partial(loop.create_server, ssl_handshake_timeout=self._handshake)
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._exit is not None:
            # As the command ends after these signals.
            self._exit.begin(128 + sig if sig == signal.SIGINT else 0)
        super().handle_exit(sig, frame)


def _config(app: HistoryApp, settings: ServerSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=limited_protocol(settings.limits),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        # Clients reuse a connection after processing a page, which may take long.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    try:
        config.load()
    except OSError as error:
        raise HistoryError(f"the certificate {settings.tls_cert} or its key can't be used: {error}") from error
    return config


def _check_exposure(settings: ServerSettings) -> None:
    """Refuses settings that would show runs or the key to others.

    Raises:
        HistoryError: They would.
    """
    if settings.tls_key is not None and settings.tls_cert is None:
        raise HistoryError("--tls-key needs the certificate, too: set --tls-cert")
    if settings.host in LOOPBACK_HOSTS:
        return
    if settings.api_key is None:
        raise HistoryError(
            f"listening on {settings.host} without an API key would expose the runs to every machine in the network: "
            "set --api-key, or listen on 127.0.0.1"
        )
    if settings.tls_cert is None and not settings.allow_http:
        raise HistoryError(
            f"on {settings.host} without TLS, others in the network could read the API key and the runs: set "
            "--tls-cert and --tls-key, or --allow-http if a proxy adds TLS or everyone in the network may read them"
        )


def environment(settings: ServerSettings, host: str, port: int) -> list[str]:
    """Returns the environment variables that a client needs.

    Args:
        settings: The settings.
        host: The address that the server listens on.
        port: The port.

    Returns:
        Two lines for a shell. A configured API key is not printed.
    """
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        name = socket.gethostname()
    key = ANY_KEY if settings.api_key is None else "<the key given to the server>"
    scheme = "http" if settings.tls_cert is None else "https"
    return [f"export WANDB_BASE_URL={scheme}://{name}:{port}", f"export WANDB_API_KEY={key}"]


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio disables Nagle's algorithm, which costs 40 ms per response, only on sockets with an explicit IPPROTO_TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
        return listener
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"can't listen on {settings.host}, port {settings.port}: {error.strerror}") from None


def _overview(catalogue: Catalogue) -> str:
    """Describes the served runs in one line."""
    names = ["/".join(run.key) for run in catalogue.runs()]
    if not names:
        return "no runs yet"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} run{'s' * (len(names) != 1)}: {', '.join(names[:3])}{more}"


class _OneLine(logging.Formatter):
    """Formats a record with control characters escaped: names of runs and operations, and errors, may contain any."""

    def format(self, record: logging.LogRecord) -> str:
        traceback = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        return "\n    ".join([f"histscan serve: {printable(record.getMessage())}", *map(printable, traceback)])


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    # uvicorn's warnings, such as a response that failed half way, get the same format.
    for log, level in ((_log, logging.INFO), (logging.getLogger("uvicorn"), logging.WARNING)):
        log.handlers = [handler]
        log.propagate = False
        log.setLevel(level)
