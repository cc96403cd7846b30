"""A lock that is released in forked processes and in copies."""

from __future__ import annotations

import os
from threading import RLock
from types import TracebackType
from typing import Any

__all__ = ["ProcessLock"]


class ProcessLock:
    """A reentrant lock for ``with`` blocks. Its owner says what it guards.

    A forked process has its own lock, because the thread that may hold the parent's does not exist there. A copied or
    unpickled lock is a new one.
    """

    def __init__(self) -> None:
        self._locks: dict[int, Any] = {}

    def __enter__(self) -> None:
        # setdefault() is atomic: threads that enter at the same time get the same lock.
        self._locks.setdefault(os.getpid(), RLock()).acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._locks[os.getpid()].release()

    def __reduce__(self) -> tuple[type[ProcessLock], tuple[()]]:
        return ProcessLock, ()
