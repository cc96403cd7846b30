"""Run part of a test in a process forked from it, as multiprocessing and PyTorch's DataLoader fork theirs."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import pyarrow
import pytest

_Result = TypeVar("_Result")

FORKS = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
"""Marks of a module whose tests fork."""

PATIENCE = 60
"""Seconds after which a process is considered stuck; never waited for in a passing test."""


class Forked(Generic[_Result]):
    """A forked process that calls a function on request.

    Args:
        function: What to call there; its result must pickle.
    """

    def __init__(self, function: Callable[[], _Result]) -> None:
        self._answer, child_answer = os.pipe()
        child_start, self._start = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            # Whatever happens, the child must not return into pytest.
            try:
                os.close(self._start)
                os.read(child_start, 1)
                with os.fdopen(child_answer, "wb") as answer:
                    pickle.dump(_outcome(function), answer)
            finally:
                os._exit(0)
        os.close(child_answer)
        os.close(child_start)

    def result(self) -> _Result:
        """Starts the call and returns its result."""
        # Not by closing it: processes forked meanwhile also have it open.
        os.write(self._start, b"!")
        os.close(self._start)
        try:
            if not select.select([self._answer], [], [], PATIENCE)[0]:
                os.kill(self._process, signal.SIGKILL)
                raise AssertionError("the forked process hangs")
            with os.fdopen(self._answer, "rb") as answer:
                failure, result = pickle.load(answer)
        finally:
            os.waitpid(self._process, 0)
        assert failure is None, f"in the forked process:\n{failure}"
        returned: _Result = result
        return returned


def in_fork(function: Callable[[], _Result]) -> _Result:
    """Calls a function in a forked process and returns its result."""
    return Forked(function).result()


def rows_left(scan: Any) -> Iterator[dict[str, Any]]:
    """The rows that a scan has not given yet; a `for` loop over the scan itself would start over."""
    return iter(lambda: next(scan, None), None)


def steps_in(batches: Any) -> list[int]:
    """The steps of some batches."""
    steps: list[int] = pyarrow.Table.from_batches(list(batches)).column("_step").to_pylist()
    return steps


def _outcome(function: Callable[[], Any]) -> tuple[str | None, Any]:
    try:
        return None, function()
    except BaseException:
        return traceback.format_exc(), None
