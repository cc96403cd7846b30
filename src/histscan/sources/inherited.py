"""Connections that a forked process inherits from its parent, and must not touch.

Even closing them is not safe: a thread of the parent, which does not exist in the child, may hold the lock of their
pool.
"""

from __future__ import annotations

import os
from weakref import WeakSet

__all__ = ["keep_in_forks"]

_open: WeakSet[object] = WeakSet()
_inherited: list[object] = []


def keep_in_forks(connections: object) -> None:
    """Keeps connections alive in forked processes, so that none is closed there.

    Args:
        connections: The object that owns them. In this process it is freed as usual.
    """
    _open.add(connections)


def _keep() -> None:
    global _open
    _inherited.extend(_open)
    _open = WeakSet()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
