"""Requests that somebody else may call off: their waits end, and their connection is shut.

A thread says which cancellation its requests belong to (``with cancellation:``); the client's waits and connections
look for it there, so that nothing in between has to hand it on. Calling off takes no lock that could be held and waits
for nothing: it may happen within garbage collection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from queue import Empty, SimpleQueue
from types import TracebackType

__all__ = ["Cancellation", "RequestCancelledError", "current_cancellation"]

_of_thread = threading.local()


class RequestCancelledError(Exception):
    """The request was called off. Never leaves the package: whoever calls off does not wait for an answer."""


class Cancellation:
    """Calls off whatever requests a thread makes while it has entered this as a context.

    Attributes:
        is_cancelled: Whether it was called off.
    """

    def __init__(self) -> None:
        self.is_cancelled = False
        # Its put() may be entered again from a finaliser, which an event's set() may not.
        self._news: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Cancellation:
        _of_thread.cancellation = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _of_thread.cancellation = None

    def cancel(self) -> None:
        """Calls off what is under way and what would come next; returns at once."""
        self.is_cancelled = True
        self._news.put(None)
        # Where the lock is held, its holder looks at the flag next.
        if self._lock.acquire(blocking=False):
            try:
                if self._socket is not None:
                    # The thread that reads from it meets its end. TLS is passed by: it would want to say goodbye.
                    with contextlib.suppress(OSError, TypeError):
                        socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            finally:
                self._lock.release()

    def check(self) -> None:
        """Goes on only if nothing was called off.

        Raises:
            RequestCancelledError: It was.
        """
        if self.is_cancelled:
            raise RequestCancelledError

    def pause(self, seconds: float) -> None:
        """Waits.

        Args:
            seconds: How long.

        Raises:
            RequestCancelledError: The request was called off, perhaps in the meantime.
        """
        with contextlib.suppress(Empty):
            self._news.get(timeout=seconds)
        self.check()

    def hold(self, connected: socket.socket | None) -> None:
        """Notes the socket that a request goes through, to be shut if that is called off.

        Args:
            connected: The socket; None once the request is over and the socket may be used for another.

        Raises:
            RequestCancelledError: The request was called off already.
        """
        with self._lock:
            self._socket = connected
        if connected is not None:
            self.check()


def current_cancellation() -> Cancellation | None:
    """Returns what may call off this thread's requests; None if nothing does."""
    cancellation: Cancellation | None = getattr(_of_thread, "cancellation", None)
    return cancellation
