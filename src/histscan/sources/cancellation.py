"""Cancels requests from another thread: ends their waits, and shuts down their connection.

A thread sets the cancellation of its requests (``with cancellation:``). The client's waits and connections look it up
in a thread-local variable, so that no function in between has to pass it on. `Cancellation.cancel` never blocks,
because it may be called within garbage collection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from queue import Empty, SimpleQueue
from types import TracebackType

__all__ = ["Cancellation", "RequestCancelledError", "check_cancelled", "current_cancellation"]

_of_thread = threading.local()


class RequestCancelledError(Exception):
    """The request was cancelled. Never reaches users: whoever cancels a request does not wait for its answer."""


class Cancellation:
    """A context manager: cancels the requests that a thread makes within it.

    Attributes:
        is_cancelled: True once it was cancelled.
    """

    def __init__(self) -> None:
        self.is_cancelled = False
        # SimpleQueue.put() is reentrant, so a finaliser may call it; Event.set() is not.
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        # Where the thread waits for other threads; None if it does not.
        self._elsewhere: SimpleQueue[None] | None = None
        # Guards `_socket`: it must not be shut down after its request is over, when another may be using it.
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
        """Cancels the current request and all later ones. Never blocks."""
        self.is_cancelled = True
        self._wakeups.put(None)
        elsewhere = self._elsewhere
        if elsewhere is not None:
            elsewhere.put(None)
        # If the lock is held, its holder checks the flag next.
        if self._lock.acquire(blocking=False):
            try:
                if self._socket is not None:
                    # Ends the read in the other thread. Bypasses TLS, whose shutdown would wait for the peer.
                    with contextlib.suppress(OSError, TypeError):
                        socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            finally:
                self._lock.release()

    def check(self) -> None:
        """Raises if the requests were cancelled.

        Raises:
            RequestCancelledError: They were.
        """
        if self.is_cancelled:
            raise RequestCancelledError

    def pause(self, seconds: float) -> None:
        """Waits.

        Args:
            seconds: How long.

        Raises:
            RequestCancelledError: The request was cancelled before or during the wait.
        """
        with contextlib.suppress(Empty):
            self._wakeups.get(timeout=seconds)
        self.check()

    def wait_on(self, wakeups: SimpleQueue[None], timeout: float | None) -> None:
        """Waits for another thread, which this one has asked for something.

        Args:
            wakeups: Where the other thread puts a wakeup.
            timeout: Seconds to wait at most; None for no limit.

        Raises:
            RequestCancelledError: The request was cancelled before or during the wait.
            queue.Empty: Nothing came in time.
        """
        self._elsewhere = wakeups
        try:
            self.check()
            wakeups.get(timeout=timeout)
            self.check()
        finally:
            self._elsewhere = None

    def watch(self, connected: socket.socket | None) -> None:
        """Sets the socket of the current request, which `cancel` shuts down.

        Args:
            connected: The socket; None once the request is over, because the socket may be used for another.

        Raises:
            RequestCancelledError: The request was already cancelled.
        """
        with self._lock:
            self._socket = connected
        if connected is not None:
            self.check()


def current_cancellation() -> Cancellation | None:
    """Returns the cancellation of this thread's requests; None if they have none."""
    cancellation: Cancellation | None = getattr(_of_thread, "cancellation", None)
    return cancellation


def check_cancelled() -> None:
    """Raises if this thread's requests were cancelled.

    Raises:
        RequestCancelledError: They were.
    """
    cancellation = current_cancellation()
    if cancellation is not None:
        cancellation.check()
