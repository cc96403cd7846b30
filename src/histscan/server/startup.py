"""Starts a server, and says how to reach it."""

from __future__ import annotations

import logging
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from histscan.errors import HistoryError, LogTruncatedWarning
from histscan.server.app import HistoryApp
from histscan.server.catalogue import Catalogue
from histscan.server.printable import printable
from histscan.server.settings import ANY_KEY, LOOPBACK_HOSTS, ServerSettings

__all__ = ["serve"]

_log = logging.getLogger("histscan.server")


def serve(settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serves runs until the process is stopped.

    Args:
        settings: The settings.
        announce: Takes the two lines that a client's shell needs, once the server can be reached.

    Raises:
        FileNotFoundError: There is nothing at one of the paths.
        HistoryError: A file can't be served, or the server would be open to others.
        OSError: The address can't be listened at.
    """
    import uvicorn

    if settings.host not in LOOPBACK_HOSTS and settings.api_key is None:
        raise HistoryError(
            f"listening at {settings.host} would show the runs to everyone who can reach this machine: "
            "give an API key that clients must send, or listen at 127.0.0.1"
        )
    _log_to_stderr()
    # A log that is still written ends within a record more often than not.
    warnings.simplefilter("ignore", LogTruncatedWarning)
    with tempfile.TemporaryDirectory(prefix="histscan-serve-") as folder, _listen(settings) as listener:
        catalogue = Catalogue(settings, Path(folder))
        app = HistoryApp(settings, catalogue)
        host, port = listener.getsockname()[:2]
        for line in environment(settings, host, port):
            announce(line)
        _log.info("%s", _overview(catalogue))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            # Clients keep connections between two pages, however long they think about the first.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=3,
        )
        uvicorn.Server(config).run(sockets=[listener])


def environment(settings: ServerSettings, host: str, port: int) -> list[str]:
    """Writes the variables that a client needs.

    Args:
        settings: The settings.
        host: The address that the server listens at.
        port: The port.

    Returns:
        Two lines for a shell. A key that was configured is not repeated.
    """
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened at
        name = socket.gethostname()
    key = ANY_KEY if settings.api_key is None else "<the key given to the server>"
    return [f"export WANDB_BASE_URL=http://{name}:{port}", f"export WANDB_API_KEY={key}"]


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns off Nagle's algorithm, which would cost 40 ms an answer, only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
        return listener
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"can't listen at {settings.host}, port {settings.port}: {error.strerror}") from None


def _overview(catalogue: Catalogue) -> str:
    """What is served, in one line."""
    names = ["/".join(run.key) for run in catalogue.runs()]
    if not names:
        return "there are no runs yet"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} run{'s' * (len(names) != 1)}: {', '.join(names[:3])}{more}"


class _OneLine(logging.Formatter):
    """Keeps a terminal from obeying what the names of runs and operations, and the messages of errors, may contain."""

    def format(self, record: logging.LogRecord) -> str:
        traceback = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        return "\n    ".join([f"histscan serve: {printable(record.getMessage())}", *map(printable, traceback)])


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    # What uvicorn has to say of a response that failed half way is said in the same way.
    for log, level in ((_log, logging.INFO), (logging.getLogger("uvicorn"), logging.WARNING)):
        log.handlers = [handler]
        log.propagate = False
        log.setLevel(level)
