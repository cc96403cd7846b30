"""Tells services that a scan is over, from a thread of its own.

A scan may be collected anywhere: in any thread, while any lock is held, in a forked process. So collecting one only
puts its request on a queue that is safe to use within garbage collection; a daemon thread, started ahead of that, sends
it. A forked process leaves its parent's scans alone: they are not its own to end, and its copy of their connection must
not be used. At interpreter exit what is left is sent too, within a bounded time.
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

# Seconds that the interpreter's exit may wait for requests still to be sent.
_EXIT_WAIT = 2.0

_Call = tuple[Callable[..., object], tuple[Any, ...]]


class _Sender:
    """The calls that one process has to make, and the thread that makes them."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._tickets = itertools.count()
        self._waiting: dict[int, _Call] = {}  # those whose owner is still alive
        # Its put() never blocks and may be entered again from a finaliser, unlike queue.Queue's.
        self._due: SimpleQueue[_Call | threading.Event] = SimpleQueue()
        threading.Thread(target=self._run, name="histscan-cleanup", daemon=True).start()
        # Not when this module is imported: handlers run last in, first out, and a service that is connected by now
        # must still be so when this one runs.
        atexit.register(self._send_all)

    def call_when_collected(self, owner: object, call: _Call) -> None:
        ticket = next(self._tickets)
        self._waiting[ticket] = call
        weakref.finalize(owner, self._release, ticket).atexit = False

    def flush(self, timeout: float) -> bool:
        done = threading.Event()
        self._due.put(done)
        return done.wait(timeout)

    def _release(self, ticket: int) -> None:
        """Queues a call; runs within garbage collection, so it must not wait for anything."""
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
            if isinstance(item, threading.Event):
                item.set()
            else:
                # Best effort: a service frees a scan's resources anyway once its client is gone.
                with contextlib.suppress(Exception):
                    item[0](*item[1])
            # Else the idle thread would keep the last service alive.
            del item


_sender: _Sender | None = None
_sender_lock = threading.Lock()
# A forked process keeps its parent's calls and makes none of them: dropping one could be the last reference to a
# service, whose own finaliser would then use the parent's connection.
_inherited: list[_Sender | None] = []


def call_when_collected(owner: object, function: Callable[..., object], *arguments: Any) -> None:
    """Has a function called, in another thread, once an object is collected or the interpreter exits.

    Args:
        owner: The object; neither the function nor the arguments may refer to it.
        function: What to call; its exceptions are dropped.
        *arguments: Its arguments.
    """
    global _sender
    with _sender_lock:
        if _sender is None:
            try:
                _sender = _Sender()
            except RuntimeError:
                # No thread can be started while the interpreter shuts down; nor is there anything left to free then.
                return
        sender = _sender
    sender.call_when_collected(owner, (function, arguments))


def flush(timeout: float) -> bool:
    """Waits until the calls of all objects collected so far have been made.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether all have been made.
    """
    sender = _sender
    return True if sender is None else sender.flush(timeout)


def _start_over_after_fork() -> None:
    """Gives a forked process a queue, a thread and a lock of its own: its parent's may be in use, and stay so."""
    global _sender, _sender_lock
    _inherited.append(_sender)
    _sender = None
    _sender_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_after_fork)
