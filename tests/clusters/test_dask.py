"""Histories of many runs on a Dask cluster of two processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from tests.support.cluster_rows import plain_rows

reason = "Dask is not installed: `make test-clusters` installs it"
pytest.importorskip("dask.dataframe", reason=reason)
distributed = pytest.importorskip("distributed", reason=reason)
pa = pytest.importorskip("pyarrow")

from histscan.many.dask import read_histories  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[Any]:
    """A cluster of two worker processes."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found


def as_table(frame: Any) -> Any:
    return pa.Table.from_pandas(frame, preserve_index=False)


def test_rows_of_all_runs(runs: Any) -> None:
    frame = read_histories(runs, target_bytes=5_000, nested="flatten")
    assert frame.npartitions >= 3
    assert plain_rows(as_table(frame.compute())) == plain_rows(runs.to_arrow(nested="flatten"))


def test_types_are_those_of_one_machine(logs: Path) -> None:
    runs = histscan.open_runs(logs)
    frame = read_histories(runs, ["_step", "loss", "epoch"], config=["lr"], target_bytes=50_000)
    assert frame.npartitions >= 3
    eager = runs.to_arrow(["_step", "loss", "epoch"], config=["lr"])
    made = as_table(frame.compute())
    assert made.column_names == eager.column_names
    assert [made.schema.field(name).type for name in ("_step", "loss", "epoch", "config.lr")] == [
        eager.schema.field(name).type for name in ("_step", "loss", "epoch", "config.lr")
    ]
    assert {str(dtype) for dtype in frame.partitions[1].compute().dtypes} == {str(dtype) for dtype in frame.dtypes}


def test_aggregates_on_the_workers(logs: Path) -> None:
    runs = histscan.open_runs(logs)
    means = read_histories(runs, ["loss"], target_bytes=50_000).groupby("run_id")["loss"].mean().compute()
    eager = runs.to_pandas(["loss"]).groupby("run_id", observed=True)["loss"].mean().dropna()
    assert means.dropna().to_dict() == pytest.approx(eager.to_dict())


def test_projection_is_read(exports: Path) -> None:
    frame = read_histories(histscan.open_runs(exports))[["loss"]].optimize(fuse=False)
    (source,) = [node for node in frame.expr.walk() if type(node).__name__.startswith("FromMap")]
    assert source.operand("columns") == ["loss"]
    assert list(frame.compute().columns) == ["loss"]


def test_declared_types_need_no_survey(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histscan.many.tasks.survey_key_flags", None)
    runs = histscan.open_runs(logs)
    frame = read_histories(runs, ["_step", "loss"], types={"_step": "int64", "loss": "float64"})
    assert plain_rows(as_table(frame.compute())) == plain_rows(runs.to_arrow(["_step", "loss"]))


def test_error_of_a_worker_has_its_reason(logs: Path) -> None:
    frame = read_histories(histscan.open_runs(logs), ["note"], types={"note": "string"})
    with pytest.raises(histscan.HistoryError, match="'note' has values that do not fit"):
        frame.compute()
