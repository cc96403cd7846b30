"""Runs for tests on real clusters of this machine: `make test-clusters` installs Dask and Ray for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support.many_runs import write_log
from tests.support.server_process import serving

pa = pytest.importorskip("pyarrow")


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs: small ones, one without rows, one with another key, one of other types, and a large one."""
    folder = tmp_path_factory.mktemp("logs")
    for place in range(9):
        rows = [{"_step": step, "loss": step / (place + 1), "epoch": step // 10} for step in range(40 + place)]
        write_log(folder, f"r{place}", rows, config={"lr": place / 10}, start=place)
    write_log(folder, "empty", [], start=20)
    write_log(folder, "mixed", [{"_step": 0, "note": "a"}, {"_step": 5, "note": 1, "epoch": 0.5}], start=21)
    many: list[dict[str, Any]] = [
        {"_step": 2 * step, "loss": 1.0 / (step + 1), "epoch": step, "deep": {"x": step}} for step in range(5_000)
    ]
    write_log(folder, "large", many, config={"lr": 3}, start=22)
    return folder


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three Parquet histories, one of them of several row groups."""
    import pyarrow.parquet

    folder = tmp_path_factory.mktemp("exports")
    for name, count in (("a", 50), ("b", 3_000), ("c", 1)):
        table = pa.table(
            {
                "_step": pa.array(range(count), pa.int64()),
                "loss": pa.array([step / 7 for step in range(count)], pa.float64()),
                "count": pa.array([None if step % 3 else step for step in range(count)], pa.int64()),
            }
        )
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet", row_group_size=500)
    return folder


@pytest.fixture(scope="session")
def server(logs: Path) -> Iterator[str]:
    """The address of a server of the logs."""
    with serving(logs) as started:
        yield started.url


@pytest.fixture(params=["logs", "exports", "server"])
def runs(request: pytest.FixtureRequest) -> Any:
    """Many runs in logs, in Parquet files and on a server."""
    place = request.getfixturevalue(request.param)
    return histscan.Api(place).runs("e/p") if request.param == "server" else histscan.open_runs(place)
