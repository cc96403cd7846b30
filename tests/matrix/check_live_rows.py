"""The same rows for a run whose newest rows are not exported yet, which wandb-core requests separately."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matrix.conftest import Open
from tests.matrix.outcomes import METHODS, assert_same, with_and_without

SERVER = "behind"

CASES: list[tuple[str, dict[str, Any]]] = [
    ("mixed", {}),
    ("mixed", {"page_size": 70}),
    ("mixed", {"min_step": 2_200, "max_step": 2_301}),
    ("mixed", {"keys": ["_step", "loss"], "page_size": 5_000}),
    ("gaps", {}),
    # Here wandb-core returns rows twice; which ones depends on the requested steps.
    ("sparse", {}),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("run", "arguments"), CASES, ids=[f"{run}-{arguments}" for run, arguments in CASES])
def test_same_rows(open_run: Open, method: str, run: str, arguments: dict[str, Any]) -> None:
    theirs, ours = with_and_without(open_run(run), method, arguments, any_order=True)
    assert_same(theirs, ours, run)
