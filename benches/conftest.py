"""Options of `pytest benches`."""

from __future__ import annotations

import pytest

from benches.case import FULL, QUICK, Scale


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small inputs and few rounds, for a rough check")


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """The scale of all cases; a small one if contestants are only compared and not timed."""
    timed = request.config.getoption("benchmark_enable") or not request.config.getoption("benchmark_disable")
    return FULL if timed and not request.config.getoption("quick") else QUICK
