"""Runs tasks in threads, and hands out each result as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from typing import TypeVar

from histscan.common.quiet import is_quiet, quiet
from histscan.sources.cancellation import Cancellation

__all__ = ["run_tasks"]

_AHEAD = 2
"""Tasks that run or wait, for each thread: a thread has work even if results are taken slowly."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def run_tasks(
    items: Iterator[_Item], work: Callable[[_Item], _Result], threads: int
) -> Generator[tuple[_Item, Future[_Result]], None, None]:
    """Does the same work for each item, in threads.

    If the generator is closed early, requests of running tasks are cancelled, and their end is awaited.

    Args:
        items: The items. They are iterated over in the caller's thread.
        work: Does the work of one item; called in another thread.
        threads: How many items are worked on at the same time.

    Yields:
        Each item with its future, which is done, in the order in which they end.
    """
    running: dict[Future[_Result], tuple[_Item, Cancellation]] = {}
    is_silent = is_quiet()

    def do(item: _Item, cancellation: Cancellation) -> _Result:
        with cancellation, quiet() if is_silent else nullcontext():
            return work(item)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="histscan-runs")
    has_ended = False
    try:
        while True:
            while not has_ended and len(running) < threads * _AHEAD:
                for item in items:
                    cancellation = Cancellation()
                    running[pool.submit(do, item, cancellation)] = (item, cancellation)
                    break
                else:
                    has_ended = True
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item, _ = running.pop(future)
                yield item, future
    finally:
        for future, (_, cancellation) in running.items():
            future.cancel()
            with suppress(RuntimeError):
                cancellation.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
