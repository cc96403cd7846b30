"""Threads that share a scan, or build columns at the same time; `make sanitize-threads` runs this, too."""

from __future__ import annotations

import pytest

from tests.faults.thread_operations import THREAD_OPERATIONS


@pytest.mark.parametrize("name", THREAD_OPERATIONS)
def test_same_result_each_time(name: str) -> None:
    operation = THREAD_OPERATIONS[name]
    shown = {operation.show(operation.work(operation.prepare())) for _ in range(5)}
    assert len(shown) == 1
