"""Warnings about the state of files, given once by the pass that returns rows to the user.

Python's own ``catch_warnings`` changes the filters of the whole process, so that threads that use it at the same time
may leave each other's filters behind.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

from histscan.common.printable import printable

__all__ = ["is_quiet", "quiet", "warn_of_file"]


class _Quiet(threading.local):
    depth = 0


_quiet = _Quiet()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignores what `warn_of_file` warns of in this thread: for all passes except the one that returns rows."""
    _quiet.depth += 1
    try:
        yield
    finally:
        _quiet.depth -= 1


def is_quiet() -> bool:
    """Returns True within `quiet`: threads that work for this one should be quiet, too."""
    return _quiet.depth > 0


def warn_of_file(message: str, category: type[UserWarning], stacklevel: int = 2) -> None:
    """Warns of the state of a file, unless the thread is `quiet`.

    Args:
        message: What is wrong with the file.
        category: The warning's class.
        stacklevel: As for ``warnings.warn``, counted from the caller.
    """
    if not _quiet.depth:
        warnings.warn(printable(message), category, stacklevel + 1)
