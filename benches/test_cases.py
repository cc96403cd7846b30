"""Runs each case: compares the contestants' rows, then times both in turn."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.case import Case, Scale, compare, run, time_once
from benches.cases import CASES
from benches.clock import CLOCK


@pytest.mark.benchmark(timer=CLOCK.read)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(benchmark: BenchmarkFixture, case: Case[Any], scale: Scale) -> None:
    """Times the peer before each round of ours, so that other load on the machine affects both alike."""
    inputs = case.inputs(scale)
    compare(case, inputs)
    peer_seconds: list[float] = []
    # Existing objects are frozen, so that garbage collections during the rounds need not traverse them.
    gc.collect()
    gc.freeze()

    def time_peer() -> tuple[tuple[Any, ...], dict[str, Any]]:
        peer_seconds.append(time_once(case.peer, inputs))
        gc.collect()
        return (case.ours, inputs), {}

    benchmark.pedantic(run, setup=time_peer, rounds=min(case.rounds, scale.most_rounds))
    gc.unfreeze()
    benchmark.extra_info.update(case=case.name, peer_rounds=peer_seconds)
