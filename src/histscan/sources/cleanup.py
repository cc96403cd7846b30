"""Ends collected scans in their service, from a separate thread.

A scan may be collected anywhere: in any thread, while any lock is held, in a forked process. So the finaliser only
puts the request on a reentrant queue; a daemon thread, started earlier, sends it. The thread gathers requests before it
sends them: many short scans would else wake it each, and wait for it to hand back the GIL, which took half their time.
A forked process does not end its parent's scans: the parent still uses them, and the child must not use its copy of
their connection. At interpreter exit the remaining requests are sent too, within a time limit.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

__all__ = ["call_when_collected", "flush"]

# Seconds that the interpreter's exit may wait for requests to be sent.
_EXIT_WAIT = 2.0
# Seconds that a request waits for others, unless `flush` is called.
_GATHERING = 0.05

_Call = tuple[Callable[..., object], tuple[Any, ...]]


class _Sender:
    """The pending calls of one process, and the thread that makes them."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._tickets = itertools.count()
        self._waiting: dict[int, _Call] = {}  # those whose owner is still alive
        # SimpleQueue.put() never blocks and is reentrant, so a finaliser may call it; Queue.put() is not.
        self._due: SimpleQueue[_Call | threading.Event] = SimpleQueue()
        self._is_flushing = threading.Event()
        threading.Thread(target=self._run, name="histscan-cleanup", daemon=True).start()
        # Not registered at import: exit handlers run last in, first out, and a service that is connected by now must
        # still be connected when this one runs.
        atexit.register(self._send_all)

    def call_when_collected(self, owner: object, call: _Call) -> None:
        ticket = next(self._tickets)
        self._waiting[ticket] = call
        weakref.finalize(owner, self._release, ticket).atexit = False

    def flush(self, timeout: float) -> bool:
        done = threading.Event()
        # Set first: the thread clears it when it has come to `done`.
        self._is_flushing.set()
        self._due.put(done)
        return done.wait(timeout)

    def _release(self, ticket: int) -> None:
        """Queues a call. Must not block: it runs within garbage collection."""
        if self._process == os.getpid():
            call = self._waiting.pop(ticket, None)
            if call is not None:
                self._due.put(call)

    def _send_all(self) -> None:
        if self._process == os.getpid():
            for ticket in list(self._waiting):
                self._release(ticket)
            self.flush(_EXIT_WAIT)

    def _run(self) -> None:
        while True:
            item = self._due.get()
            if not isinstance(item, threading.Event):
                self._is_flushing.wait(_GATHERING)
            self._handle(item)
            # Otherwise the idle thread would keep the last service alive.
            del item
            while not self._due.empty():
                self._handle(self._due.get())

    def _handle(self, item: _Call | threading.Event) -> None:
        if isinstance(item, threading.Event):
            # Another flush, if there is one, may now wait for `_GATHERING`.
            self._is_flushing.clear()
            item.set()
            return
        # Best effort: a service also frees a scan's resources when its client disconnects.
        with contextlib.suppress(Exception):
            item[0](*item[1])


_sender: _Sender | None = None
# Guards the creation of `_sender`.
_sender_lock = threading.Lock()
# A forked process keeps its parent's calls alive without making them: dropping the last reference to a service would
# run its finaliser, which would use the parent's connection.
_inherited: list[_Sender | None] = []


def call_when_collected(owner: object, function: Callable[..., object], *arguments: Any) -> None:
    """Calls a function in another thread once an object is collected or the interpreter exits.

    Args:
        owner: The object; neither the function nor the arguments may refer to it.
        function: The function; its exceptions are ignored.
        *arguments: Its arguments.
    """
    global _sender
    with _sender_lock:
        if _sender is None:
            try:
                _sender = _Sender()
            except RuntimeError:
                # No thread can be started during interpreter shutdown, when nothing needs to be freed either.
                return
        sender = _sender
    sender.call_when_collected(owner, (function, arguments))


def flush(timeout: float) -> bool:
    """Waits until the calls of all objects collected so far have been made.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        True if all have been made.
    """
    sender = _sender
    return True if sender is None else sender.flush(timeout)


def _start_over_after_fork() -> None:
    """Gives a forked process its own queue, thread and lock: the parent's lock may be held, and is never released."""
    global _sender, _sender_lock
    _inherited.append(_sender)
    _sender = None
    _sender_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_after_fork)
