"""Ends the process in time after a signal, whatever its threads are doing."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

__all__ = ["GRACE", "exit_in_time"]

GRACE = 1.5
"""Seconds from a signal until the process ends. uvicorn waits for responses in the first second of them."""


def exit_in_time(clean_up: Callable[[], object], code: int = 0) -> None:
    """Ends the process after `GRACE` seconds, if it does not end before.

    Python waits for its threads at the end, and work that is in pyarrow or in a pass over a file can't be cancelled.

    Args:
        clean_up: Called before, to remove temporary files.
        code: The exit code.
    """

    def end() -> None:
        try:
            clean_up()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    timer = threading.Timer(GRACE, end)
    timer.daemon = True
    timer.start()
