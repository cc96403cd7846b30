"""Connections that a forked process has from its parent, and must leave alone.

Even closing them is not safe: a thread of the parent, which the child lacks, may have held the lock of their pool.
"""

from __future__ import annotations

import os
from weakref import WeakSet

__all__ = ["keep_in_forks"]

_open: WeakSet[object] = WeakSet()
_inherited: list[object] = []


def keep_in_forks(connections: object) -> None:
    """Keeps a process that is forked from this one from freeing connections.

    Args:
        connections: What has them; it is freed in this process as ever.
    """
    _open.add(connections)


def _keep() -> None:
    global _open
    _inherited.extend(_open)
    _open = WeakSet()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
