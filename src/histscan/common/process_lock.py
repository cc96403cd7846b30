"""A lock that neither a fork nor a pickle takes along."""

from __future__ import annotations

import os
from threading import RLock
from types import TracebackType
from typing import Any

__all__ = ["ProcessLock"]


class ProcessLock:
    """Lets one thread at a time into a ``with`` block; the same thread may enter it again.

    A forked process has a lock of its own, as it lacks the thread that may hold its parent's. So has a copy of the
    object that the lock is part of, wherever it is copied or unpickled.
    """

    def __init__(self) -> None:
        self._locks: dict[int, Any] = {}

    def __enter__(self) -> None:
        # Of threads that enter at once, one sets the lock of the process for all.
        self._locks.setdefault(os.getpid(), RLock()).acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._locks[os.getpid()].release()

    def __reduce__(self) -> tuple[type[ProcessLock], tuple[()]]:
        return ProcessLock, ()
