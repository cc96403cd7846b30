"""The log of retries and of throttling: ``logging.getLogger("histscan")``.

Messages name a server by its address or host. They never contain the API key, or the address of an exported file, which
is a secret itself. Without a handler of the program, nothing is printed.
"""

from __future__ import annotations

import logging

__all__ = ["log_retry", "log_throttle"]

_log = logging.getLogger("histscan")
# Otherwise Python prints warnings on standard error in programs that did not set up logging.
_log.addHandler(logging.NullHandler())


def log_retry(server: str, failure: str, retry: int, wait: float) -> None:
    """Logs that a request will be retried, as a warning.

    Args:
        server: The server's address without a path, or its host.
        failure: What failed, without secrets.
        retry: The number of the retry, from 1.
        wait: Seconds until then.
    """
    _log.warning("%s %s: retry %d in %.1f s", server, failure, retry, wait)


def log_throttle(limit: int | None) -> None:
    """Logs that a client sends fewer requests at once, or more again.

    Args:
        limit: The most requests at once; None for no limit.
    """
    if limit is None:
        _log.info("the server keeps up again: no limit on concurrent requests")
    else:
        _log.info("rate limit exceeded: at most %d concurrent request%s", limit, "" if limit == 1 else "s")
