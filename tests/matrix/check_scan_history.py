"""Before wandb 0.27.0, `Run.scan_history` of a small run takes one request; later releases keep their method."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from wandb.apis import public

from histscan.installing.installation import installed
from tests.matrix.conftest import Open
from tests.matrix.outcomes import RELEASE, outcome, with_and_without
from tests.support.matrix_runs import STEPS
from tests.support.server_process import Server

SERVER = "complete"

IS_REPLACED = RELEASE < (0, 27, 0)


def test_the_method_is_replaced_where_it_is_known() -> None:
    stock = public.Run.scan_history
    with installed():
        ours = public.Run.scan_history
        assert (ours is not stock) == IS_REPLACED
        assert inspect.signature(ours) == inspect.signature(stock)
        assert ours.__doc__ == stock.__doc__
    assert public.Run.scan_history is stock


@pytest.mark.skipif(not IS_REPLACED, reason="this release requests pages in another way")
@pytest.mark.parametrize(
    "arguments", [{}, {"keys": ["_step", "loss"]}, {"min_step": 1, "max_step": 1_510}, {"max_step": 10**9}], ids=str
)
def test_one_request_for_a_small_run(open_run: Open, server: Server, arguments: dict[str, Any]) -> None:
    run = open_run("gaps")
    theirs, ours = with_and_without(run, "scan_history", arguments, any_order=True)
    assert ours == theirs or set(theirs.rows) <= set(ours.rows)
    assert not ours.error
    first, stop = arguments.get("min_step", 0), arguments.get("max_step", 10**9)
    assert len(ours.rows) == len([step for step in STEPS["gaps"] if first <= step < stop])
    server.forget_traffic()
    with installed():
        assert outcome(run, "scan_history", arguments, any_order=True) == ours
    assert server.traffic()["operations"] == {"FirstPageOfKeys" if "keys" in arguments else "FirstPage": 1}
