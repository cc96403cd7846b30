"""Ends the process in time after a signal, whatever its threads are doing."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

__all__ = ["GRACE", "ExitInTime"]

GRACE = 1.5
"""Seconds from a signal until the process ends. uvicorn waits for responses in the first second of them."""


class ExitInTime:
    """Ends the process `GRACE` seconds after `begin`, if it does not end before.

    Python waits for its threads at the end, and work that is in pyarrow or in a pass over a file can't be cancelled.

    Args:
        stop: Called first.
        clean_up: Called before the process ends in this way.
    """

    def __init__(self, stop: Callable[[], object], clean_up: Callable[[], object]) -> None:
        self._stop = stop
        self._clean_up = clean_up
        # A signal handler may interrupt code that holds a lock: it must only write to a pipe, and start no thread.
        self._begun, self._begin = os.pipe()
        threading.Thread(target=self._wait, daemon=True).start()

    def begin(self, code: int) -> None:
        """Begins to end the process; may be called by a signal handler.

        Args:
            code: The exit code if the process does not end by itself.
        """
        os.write(self._begin, bytes([code]))

    def _wait(self) -> None:
        (code,) = os.read(self._begun, 1)
        deadline = time.monotonic() + GRACE
        try:
            self._stop()
            time.sleep(max(0.0, deadline - time.monotonic()))
            self._clean_up()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
