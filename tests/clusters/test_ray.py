"""Histories of many runs on a Ray cluster of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support.cluster_rows import plain_rows
from tests.support.paths import ROOT
from tests.support.server_process import serving

ray = pytest.importorskip("ray", reason="Ray is not installed: `make test-clusters` installs it")
pa = pytest.importorskip("pyarrow")

from ray.data.expressions import col  # noqa: E402

from histscan.many.ray import HistoryDatasource  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray cluster of two workers."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=200 << 20,
        _node_ip_address="127.0.0.1",
        runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
    )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    yield
    ray.shutdown()


def read(runs: Any, keys: list[str] | None = None, **options: Any) -> Any:
    return ray.data.read_datasource(HistoryDatasource(runs, keys, **options))


def table_of(dataset: Any) -> Any:
    tables = [ray.get(block) for block in dataset.to_arrow_refs()]
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


def test_rows_of_all_runs(runs: Any) -> None:
    table = table_of(read(runs, target_bytes=5_000, nested="flatten"))
    assert plain_rows(table) == plain_rows(runs.to_arrow(nested="flatten"))


def test_counts_rows_of_all_columns(runs: Any) -> None:
    count = len(runs.to_arrow(["_step"]))
    assert read(runs).count() == count
    assert read(runs, ["_step", "loss"]).filter(expr=col("_step") >= 20).count() == len(
        runs.to_arrow(["_step"], min_step=20)
    )


def test_filters_and_projection(logs: Path) -> None:
    runs = histscan.open_runs(logs)
    dataset = read(runs, target_bytes=50_000).filter(expr=(col("_step") > 9_000) & (col("run_id") == "large"))
    dataset = dataset.select_columns(["loss"])
    eager = runs.to_polars().filter(run_id="large")
    eager = eager.filter(eager["_step"] > 9_000)
    assert table_of(dataset).column("loss").to_pylist() == eager["loss"].to_list()


def test_filters_reduce_what_is_requested(logs: Path) -> None:
    with serving(logs) as server:
        api = histscan.Api(server.url)

        def traffic_of(make: Any) -> tuple[int, int]:
            server.forget_traffic()
            make(read(api.runs("e/p"), ["_step", "loss"])).materialize()
            traffic = server.traffic()
            return traffic["operations"].get("HistoryPage", 0), traffic["bytes_sent"]

        all_pages, all_bytes = traffic_of(lambda dataset: dataset)
        pages, some_bytes = traffic_of(lambda dataset: dataset.filter(expr=col("run_id") == "r1"))
        assert (pages, some_bytes < all_bytes / 2) == (1, True)
        assert all_pages > 10
        pages, _ = traffic_of(lambda dataset: dataset.filter(expr=(col("_step") >= 9_000) & (col("loss") > 0)))
        assert 1 <= pages < all_pages / 2


def test_no_run_is_chosen(exports: Path) -> None:
    dataset = read(histscan.open_runs(exports)).filter(expr=col("run_id") == "nobody")
    assert dataset.count() == 0
