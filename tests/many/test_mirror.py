"""A mirror has the runs of its source, whatever reads it, and asks only for what is new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest

import histscan
from tests.support import wire
from tests.support.project_runs import rows_of, write_run, write_runs
from tests.support.served_runs import same
from tests.support.server_process import ServerProcess, serving
from tests.support.stream_records import stats_record

PROJECT = "team/many"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def mirror(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    goal = tmp_path_factory.mktemp("mirrors") / "mirror"
    result = histscan.mirror(runs_of(server), goal)
    assert (result.runs, result.new, result.rows, result.failures) == (12, 12, 1_500, {})
    return goal


def runs_of(server: ServerProcess) -> Any:
    return histscan.Api(server.url, "a" * 40).runs(PROJECT)


def members(run: Any) -> dict[str, Any]:
    names = ("path", "name", "state", "tags", "group", "job_type", "notes", "config", "exit_code", "duration", "axes")
    times = ("created_at", "heartbeat_at", "lastHistoryStep", "wandb_version")
    summary = {key: value for key, value in run.summary.items() if key != "_wandb"}
    return {name: getattr(run, name) for name in (*names, *times)} | {"summary": summary}


def without_null(rows: Any) -> list[Any]:
    """Rows as columns have them, where null equals missing."""
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


class TestReadBack:
    def test_runs(self, server: ServerProcess, mirror: Path) -> None:
        for source, run in zip(runs_of(server), histscan.open_runs(mirror), strict=True):
            assert members(run) == members(source)
            assert run.row_count == source.row_count
            assert same(list(run.scan_history()), without_null(source.scan_history(source="pages")))

    def test_frames(self, server: ServerProcess, mirror: Path) -> None:
        source, back = runs_of(server), histscan.open_runs(mirror)
        for options in ({}, {"config": ["lr"]}, {"nested": "flatten"}, {"min_step": 7}):
            assert same(back.to_arrow(**options).to_pylist(), source.to_arrow(**options).to_pylist())
            assert back.to_arrow(**options).schema == source.to_arrow(**options).schema
        table = back.table().to_arrow()
        assert table.schema == source.table().to_arrow().schema
        assert table.to_pylist() == source.table().to_arrow().to_pylist()

    def test_each_run_keeps_its_types(self, server: ServerProcess, mirror: Path) -> None:
        for source, run in zip(runs_of(server), histscan.open_runs(mirror), strict=True):
            expected = source.to_arrow()
            found = run.to_arrow(expected.schema.names)
            assert found.schema == expected.schema
            assert same(found.to_pylist(), expected.to_pylist())

    def test_one_file(self, server: ServerProcess, mirror: Path) -> None:
        source = histscan.Api(server.url, "a" * 40).run(f"{PROJECT}/run003")
        run = histscan.open(mirror / "history" / "run003.parquet")
        assert "run_id" not in run.keys()  # noqa: SIM118 - a run is no dict
        assert members(run) == members(source)
        assert same(list(run.scan_history()), without_null(source.scan_history()))

    def test_the_mirror_as_one_run(self, mirror: Path, tmp_path: Path) -> None:
        with pytest.raises(histscan.HistoryError, match=r"is a mirror of 12 runs: .*histscan\.open_runs\("):
            histscan.open(mirror)
        write_run(tmp_path / "logs", "only", rows_of(1, range(5)))
        histscan.mirror(tmp_path / "logs", tmp_path / "mirror")
        assert histscan.open(tmp_path / "mirror").id == "only"
        assert histscan.open(str(tmp_path / "mirror")).lastHistoryStep == 4

    def test_part_of_a_mirror(self, mirror: Path) -> None:
        runs = histscan.open_runs(str(mirror / "history" / "run00[12].parquet"))
        assert [run.id for run in runs] == ["run001", "run002"]
        # As a folder among others.
        assert len(histscan.open_runs(mirror.parent)) == 12

    def test_keys_of_a_mirror_need_no_rows(self, mirror: Path) -> None:
        keys = {info.name for info in histscan.open_runs(mirror).keys()}  # noqa: SIM118
        assert {"loss", "deep.a.b", "_step"} <= keys
        assert "run_id" not in keys


class TestOtherReaders:
    @pytest.fixture
    def expected(self, folder: Path) -> list[tuple[str, int, float]]:
        return [(run.id, row["_step"], row["loss"]) for run in histscan.open_runs(folder) for row in run.scan_history()]

    def test_polars(self, mirror: Path, expected: list[Any]) -> None:
        frame = polars.scan_parquet(mirror / "history/*.parquet").collect()
        assert frame.columns[:2] == ["run_id", "_step"]
        assert sorted(frame.select("run_id", "_step", "loss").rows()) == sorted(expected)
        assert frame.schema["score"] == polars.Float64
        table = polars.read_parquet(mirror / "runs.parquet")
        assert table["run_id"].to_list() == [f"run{number:03}" for number in range(12)]
        assert table["rows"].sum() == len(expected)
        assert all((mirror / file).is_file() for file in table["file"])

    def test_duckdb(self, mirror: Path, expected: list[Any]) -> None:
        found = duckdb.sql(f"select run_id, _step, loss from '{mirror}/history/*.parquet'").fetchall()
        assert sorted(found) == sorted(expected)
        joined = f"select r.name, count(*) from '{mirror}/history/*.parquet' h join '{mirror}/runs.parquet' r"
        assert len(duckdb.sql(f"{joined} using (run_id) group by 1").fetchall()) == 11

    def test_pyarrow(self, mirror: Path, expected: list[Any]) -> None:
        table = pyarrow.dataset.dataset(mirror / "history").to_table(["run_id", "_step", "loss"])
        assert sorted(map(tuple, table.to_pandas().itertuples(index=False))) == sorted(expected)

    def test_all_files_have_one_schema(self, mirror: Path) -> None:
        files = list((mirror / "history").iterdir())
        assert len(files) == 12
        assert len({str(pyarrow.parquet.read_schema(file).remove_metadata()) for file in files}) == 1


class TestIncremental:
    def test_unchanged_runs_cost_the_listing(self, server: ServerProcess, tmp_path: Path) -> None:
        requests = []
        for new in (12, 0):
            server.forget_traffic()
            result = histscan.mirror(runs_of(server), tmp_path / "mirror", system=True)
            requests.append(server.traffic()["requests"])
            assert (result.new, result.unchanged) == (new, 12 - new)
        assert requests[1] == 1
        assert requests[1] <= requests[0] / 20

    def test_files_of_unchanged_runs_are_not_touched(self, server: ServerProcess, tmp_path: Path) -> None:
        goal = tmp_path / "mirror"

        def times() -> dict[str, int]:
            return {str(file): file.stat().st_mtime_ns for file in goal.rglob("*.*") if file.name != "mirror.lock"}

        histscan.mirror(runs_of(server), goal)
        before = times()
        histscan.mirror(runs_of(server), goal)
        assert times() == before

    def test_a_runs_object_is_listed_again(self, tmp_path: Path) -> None:
        write_run(tmp_path / "logs", "first", rows_of(1, range(5)))
        with serving(tmp_path / "logs") as server:
            runs = runs_of(server)
            assert histscan.mirror(runs, tmp_path / "mirror").new == 1
            write_run(tmp_path / "logs", "first", rows_of(1, range(9)))
            assert histscan.mirror(runs, tmp_path / "mirror").extended == 1

    def test_a_slice_of_a_project(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 5), tmp_path / "mirror"
        with serving(logs) as server:
            runs = runs_of(server)[1:4]
            assert histscan.mirror(runs, goal).new == 3
            server.forget_traffic()
            assert histscan.mirror(runs, goal).unchanged == 3
            assert server.traffic()["requests"] == 1
            write_run(logs, "run002", rows_of(2, range(25)))
            result = histscan.mirror(runs, goal)
            assert (result.extended, result.unchanged, result.rows) == (1, 2, 5)
            assert [run.id for run in histscan.open_runs(goal)] == ["run001", "run002", "run003"]

    def test_growing_run(self, tmp_path: Path) -> None:
        logs, goal = tmp_path / "logs", tmp_path / "mirror"
        write_run(logs, "grows", rows_of(1, range(1_500)), is_finished=False)
        write_run(logs, "waits", rows_of(2, range(10)))
        with serving(logs) as server:
            assert histscan.mirror(runs_of(server), goal).rows == 1_510
            write_run(logs, "grows", rows_of(1, range(1_530)), is_finished=False)
            server.forget_traffic()
            result = histscan.mirror(runs_of(server), goal)
            assert (result.extended, result.unchanged, result.rows) == (1, 1, 30)
            assert sum(server.traffic()["operations"].values()) <= 4
            # Nothing but its end is new.
            write_run(logs, "grows", rows_of(1, range(1_530)), summary={"done": True})
            result = histscan.mirror(runs_of(server), goal)
            assert (result.extended, result.rows) == (1, 0)
            assert histscan.mirror(runs_of(server), goal).unchanged == 2
            for source, run in zip(runs_of(server), histscan.open_runs(goal), strict=True):
                assert members(run) == members(source)
                assert same(list(run.scan_history()), without_null(source.scan_history(source="pages")))

    @pytest.mark.parametrize("steps", [range(12), range(30), range(5), range(20, 40), range(0)], ids=str)
    def test_rewound_run_is_read_again(self, tmp_path: Path, steps: range) -> None:
        logs, goal = tmp_path / "logs", tmp_path / "mirror"
        write_run(logs, "rewound", rows_of(1, range(12)), is_finished=False)
        with serving(logs) as server:
            histscan.mirror(runs_of(server), goal)
            write_run(logs, "rewound", rows_of(5, steps))
            result = histscan.mirror(runs_of(server), goal)
            assert (result.new, result.extended) == (1, 0)
            (source,), (run,) = runs_of(server), histscan.open_runs(goal)
            assert same(list(run.scan_history()), without_null(source.scan_history()))

    def test_new_keys_and_types_reach_all_files(self, tmp_path: Path) -> None:
        logs, goal = tmp_path / "logs", tmp_path / "mirror"
        write_run(logs, "a", [{"_step": 0, "x": 1, "y": 1}])
        histscan.mirror(logs, goal)
        write_run(logs, "b", [{"_step": 0, "x": 0.5, "y": "text", "z": True}])
        result = histscan.mirror(logs, goal)
        assert (result.new, result.unchanged) == (1, 1)
        frame = polars.scan_parquet(goal / "history/*.parquet").sort("run_id").collect()
        assert frame["x"].to_list() == [1.0, 0.5]
        assert frame["z"].to_list() == [None, True]
        first, second = histscan.open_runs(goal)
        assert repr(list(first.scan_history())) == "[{'_step': 0, 'x': 1, 'y': 1}]"
        assert repr(list(second.scan_history())) == "[{'_step': 0, 'x': 0.5, 'y': 'text', 'z': True}]"
        assert [str(kind) for kind in first.to_arrow().schema.types] == ["int64", "int64", "int64"]

    def test_types_become_narrow_again(self, tmp_path: Path) -> None:
        logs, goal = tmp_path / "logs", tmp_path / "mirror"
        write_run(logs, "a", [{"_step": 0, "x": 0.5}])
        write_run(logs, "b", [{"_step": 0, "x": "by mistake", "y": 1}])
        histscan.mirror(logs, goal)
        write_run(logs, "b", [{"_step": 0, "x": 2}])
        histscan.mirror(logs, goal)
        schema = polars.scan_parquet(goal / "history/*.parquet").collect_schema()
        assert dict(schema) == {"run_id": polars.String, "_step": polars.Int64, "x": polars.Float64}

    def test_removed_files_come_back(self, server: ServerProcess, tmp_path: Path) -> None:
        goal = tmp_path / "mirror"
        histscan.mirror(runs_of(server), goal)
        (goal / "history" / "run002.parquet").unlink()
        (goal / "history" / "run003.parquet").write_bytes(b"")
        (goal / "runs.parquet").unlink()
        assert histscan.mirror(runs_of(server), goal).new == 2
        assert histscan.open_runs(goal).to_arrow().num_rows == 1_500
        assert pyarrow.parquet.read_metadata(goal / "runs.parquet").num_rows == 12

    def test_description_changes_without_rows(self, tmp_path: Path) -> None:
        logs, goal = tmp_path / "logs", tmp_path / "mirror"
        write_run(logs, "a", [{"_step": 0}], config={"lr": 1})
        histscan.mirror(logs, goal)
        write_run(logs, "a", [{"_step": 0}], config={"lr": 2}, summary={"best": 1})
        histscan.mirror(logs, goal)
        (run,) = histscan.open_runs(goal)
        assert (run.config, run.summary) == ({"lr": 2}, {"best": 1})


class TestChoices:
    def test_filters(self, server: ServerProcess, tmp_path: Path) -> None:
        goal = tmp_path / "mirror"
        assert histscan.mirror(runs_of(server), goal, filters={"config.lr": {"$lt": 0.25}}).runs == 3
        result = histscan.mirror(runs_of(server), goal, filters={"config.lr": {"$gt": 1.05}})
        # Those of the first call stay, and are not taken for deleted.
        assert (result.runs, result.new, result.deleted) == (4, 1, 0)

    def test_keys(self, server: ServerProcess, tmp_path: Path) -> None:
        goal = tmp_path / "mirror"
        histscan.mirror(runs_of(server), goal, keys=["loss", "s*", "no such key"])
        assert polars.scan_parquet(goal / "history/*.parquet").collect_schema().names() == [
            "run_id",
            "_step",
            "loss",
            "score",
            "sparse",
        ]
        assert histscan.open_runs(goal).to_arrow().num_rows == 1_500
        assert histscan.mirror(runs_of(server), goal, keys=["loss", "s*", "no such key"]).unchanged == 12
        assert histscan.mirror(runs_of(server), goal, keys=["loss"]).new == 12
        assert histscan.open_runs(goal)[0].keys() == ["_step", "loss"]
        assert polars.scan_parquet(goal / "history/*.parquet").collect_schema().names() == ["run_id", "_step", "loss"]

    def test_folder_of_logs(self, folder: Path, tmp_path: Path) -> None:
        goal = tmp_path / "mirror"
        assert histscan.mirror(folder, goal).new == 12
        assert histscan.mirror(folder, goal).unchanged == 12
        for source, run in zip(histscan.open_runs(folder), histscan.open_runs(goal), strict=True):
            assert members(run) == members(source)
            assert same(list(run.scan_history()), without_null(source.scan_history()))

    def test_logs_and_then_the_server(self, server: ServerProcess, folder: Path, tmp_path: Path) -> None:
        histscan.mirror(folder, tmp_path / "mirror")
        result = histscan.mirror(runs_of(server), tmp_path / "mirror")
        assert (result.runs, result.new) == (12, 12)
        assert histscan.mirror(runs_of(server), tmp_path / "mirror").unchanged == 12

    def test_mirror_of_a_mirror(self, mirror: Path, tmp_path: Path) -> None:
        histscan.mirror(mirror, tmp_path / "copy")
        source, copy = histscan.open_runs(mirror), histscan.open_runs(tmp_path / "copy")
        assert same(copy.to_arrow().to_pylist(), source.to_arrow().to_pylist())

    def test_mirror_within_its_source(self, tmp_path: Path) -> None:
        write_run(tmp_path, "a", rows_of(1, range(5)))
        for new in (1, 0):
            assert histscan.mirror(tmp_path, tmp_path / "mirror").new == new
        assert os.listdir(tmp_path / "mirror" / "history") == ["a.parquet"]

    def test_other_folders_are_refused(self, server: ServerProcess, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(histscan.HistoryError, match="other files"):
            histscan.mirror(folder, tmp_path)
        histscan.mirror(runs_of(server), tmp_path / "mirror")
        with (
            serving(folder) as other,
            pytest.raises(histscan.HistoryError, match="to another folder"),
        ):
            histscan.mirror(runs_of(other), tmp_path / "mirror")

    def test_bad_arguments(self, folder: Path, tmp_path: Path) -> None:
        for options in ({"on_error": "ignore"}, {"threads": 0}, {"keys": "loss"}):
            bad: Any = options
            with pytest.raises(ValueError, match="must be"):
                histscan.mirror(folder, tmp_path / "mirror", **bad)
        assert not (tmp_path / "mirror").exists()

    def test_progress(self, folder: Path, tmp_path: Path) -> None:
        told: list[Any] = []
        histscan.mirror(folder, tmp_path / "mirror", progress=told.append)
        assert (told[-1].runs, told[-1].total, told[-1].rows) == (12, 12, 1_500)


def test_system_metrics(tmp_path: Path) -> None:
    log = tmp_path / "run-a.wandb"
    stats = [stats_record({"cpu": str(place * 7), "memory": "0.5"}, 10 + place) for place in range(20)]
    row = wire.history_record([("_step", "0"), ("loss", "1")], 0)
    log.write_bytes(wire.write_log([wire.run_record("a", started=10), row, *stats]))
    goal = tmp_path / "mirror"
    histscan.mirror(log, goal)
    assert list(histscan.open_runs(goal)[0].system_metrics()) == []
    # Only they are missing.
    result = histscan.mirror(log, goal, system=True)
    assert (result.unchanged, result.rows) == (1, 0)
    source, (run,) = histscan.open(log), histscan.open_runs(goal)
    rows = list(source.system_metrics())
    assert len(rows) == 20
    assert list(run.system_metrics()) == rows
    keys = ["_timestamp", "system.cpu"]
    assert list(run.system_metrics(keys)) == list(source.system_metrics(keys))
    assert polars.scan_parquet(goal / "system/*.parquet").collect().columns[0] == "run_id"
    assert histscan.mirror(log, goal, system=True).unchanged == 1
    (system_file,) = goal.glob("system/*.parquet")
    system_file.write_bytes(system_file.read_bytes()[:-9])
    with pytest.raises(histscan.HistoryDecodeError, match="it is not a Parquet file, or is not complete"):
        list(run.system_metrics())
    # They are not taken for histories.
    assert len(histscan.open_runs(tmp_path)) == 2
