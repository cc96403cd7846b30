"""Options of `pytest benches`."""

from __future__ import annotations

import pytest

from benches.case import FULL, QUICK, Scale


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small inputs and few rounds: a look, not a measurement")


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """How much work each case gets; little when nothing is timed and the contestants are only compared."""
    timed = request.config.getoption("benchmark_enable") or not request.config.getoption("benchmark_disable")
    return FULL if timed and not request.config.getoption("quick") else QUICK
