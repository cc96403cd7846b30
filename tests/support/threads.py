"""Tasks that run at the same time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_together(*tasks: Callable[[], Any]) -> list[Any]:
    """Runs tasks at the same time, in threads that take turns as often as they can.

    Args:
        tasks: One for each thread.

    Returns:
        What each task has returned or raised.
    """
    barrier = threading.Barrier(len(tasks))

    def start(task: Callable[[], Any]) -> Any:
        barrier.wait(timeout=30)
        try:
            return task()
        except Exception as error:
            return error

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(tasks)) as pool:
            return [future.result(timeout=120) for future in [pool.submit(start, task) for task in tasks]]
    finally:
        sys.setswitchinterval(interval)
