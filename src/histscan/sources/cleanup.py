"""Tells services that a scan is over, from a thread of its own.

A scan may be collected anywhere: in any thread, while any lock is held, in a forked process. So collecting one only
puts its request on a queue that is safe to use within garbage collection; a daemon thread, started ahead of that, sends
it. A forked process leaves its parent's scans alone: they are not its own to end, and its copy of the connection must
not be used. At interpreter exit what is left is sent too, within a bounded time.
"""

from __future__ import annotations

import atexit
import contextlib
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
    """A queue of calls and the thread that makes them, within one process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        # Its put() never blocks and may be entered again from a finaliser, unlike queue.Queue's.
        self.calls: SimpleQueue[_Call | threading.Event] = SimpleQueue()
        self.pending: set[weakref.finalize[Any, Any]] = set()
        threading.Thread(target=self._run, name="histscan-cleanup", daemon=True).start()

    def _run(self) -> None:
        while True:
            item = self.calls.get()
            if isinstance(item, threading.Event):
                item.set()
            else:
                # Best effort, as in wandb: the service frees a scan's resources anyway when its client is gone.
                with contextlib.suppress(Exception):
                    item[0](*item[1])
            # Else the idle thread would keep the last service alive.
            del item


_sender: _Sender | None = None
_sender_lock = threading.Lock()


def call_when_collected(owner: object, function: Callable[..., object], *arguments: Any) -> None:
    """Has a function called, in another thread, after an object is collected or at the interpreter's exit.

    Args:
        owner: The object; neither the function nor the arguments may refer to it.
        function: What to call; its exceptions are dropped.
        *arguments: Its arguments.
    """
    sender = _sender_of_process()
    finalizer = weakref.finalize(owner, _enqueue, sender, (function, arguments))
    finalizer.atexit = False  # flush() calls those left, at a time when the thread still runs
    sender.pending.add(finalizer)
    # Known only now, and the callback must find its own finalizer to forget it.
    weakref.finalize(owner, sender.pending.discard, finalizer).atexit = False


def flush(timeout: float) -> bool:
    """Waits until the calls queued so far have been made.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether all have been made.
    """
    sender = _sender
    if sender is None or sender.process != os.getpid():
        return True
    done = threading.Event()
    sender.calls.put(done)
    return done.wait(timeout)


def _sender_of_process() -> _Sender:
    global _sender
    with _sender_lock:
        if _sender is None:
            _sender = _Sender()
        return _sender


def _enqueue(sender: _Sender, call: _Call) -> None:
    if sender.process == os.getpid():
        sender.calls.put(call)


def _send_at_exit() -> None:
    sender = _sender
    if sender is None or sender.process != os.getpid():
        return
    for finalizer in list(sender.pending):
        finalizer()
    flush(_EXIT_WAIT)


def _forget_parent() -> None:
    """Starts a forked process without its parent's queue, thread and lock, any of which may be in use."""
    global _sender, _sender_lock
    _sender = None
    _sender_lock = threading.Lock()


atexit.register(_send_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
