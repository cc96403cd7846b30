"""open_runs() of folders, patterns and lists."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.columns.arrow_files import write_parquet
from histscan.many.filters import FilterError
from histscan.runs.run_metadata import run_metadata
from tests.support.counted_reads import count_reads
from tests.support.many_runs import write_log
from tests.support.paths import ROOT
from tests.support.served_runs import same

pytest.importorskip("pyarrow")

REAL_LOGS = ROOT / "tests" / "real_logs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, (run_id, lr, seed) in enumerate([("a", 0.1, 1), ("b", 0.1, 2), ("c", 0.01, 1)]):
        write_log(
            tmp_path,
            run_id,
            [{"_step": step, "loss": lr * step} for step in range(place + 1)],
            config={"lr": lr, "seed": seed, "opt": {"name": "adam"}},
            summary={"loss": lr * place, "best": {"acc": place}},
            start=1_700_000_000 - 100 * place,
            tags=["baseline"] if place else ["old", "baseline"],
        )
    return tmp_path


def ids(runs: Any) -> list[str]:
    return [run.id for run in runs]


def test_a_folder_a_pattern_and_a_list(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert sorted(ids(runs)) == ["a", "b", "c"]
    assert len(runs) == 3
    assert repr(runs) == f"<LocalRuns of 3 runs in {str(folder)!r}>"
    assert sorted(ids(histscan.open_runs(f"{folder}/run-*-[ab]"))) == ["a", "b"]
    assert ids(histscan.open_runs([folder / "run-20260131_000000-a", *folder.glob("*-c")])) == ["a", "c"]
    assert ids(histscan.open_runs([*folder.glob("*-c"), folder / "run-20260131_000000-a"])) == ["c", "a"]
    assert ids(histscan.open_runs(next(folder.glob("*-b/*.wandb")))) == ["b"]


def test_nothing_there(tmp_path: Path) -> None:
    places: list[Any] = [tmp_path, tmp_path / "no", f"{tmp_path}/*.wandb", []]
    for where in places:
        with pytest.raises(FileNotFoundError):
            histscan.open_runs(where)


def test_logs_are_not_read_before_they_are_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_reads(monkeypatch)
    runs = histscan.open_runs(folder)
    assert len(runs) == 3
    assert not read
    assert len(runs.to_arrow()) > 0
    assert read


def test_slices_and_places(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert runs[0].id == ids(runs)[0]
    assert runs[-1].id == ids(runs)[-1]
    assert ids(runs[1:]) == ids(runs)[1:]
    assert len(runs[:2].to_arrow()) == runs[0].to_arrow().num_rows + runs[1].to_arrow().num_rows
    with pytest.raises(IndexError):
        runs[3]
    with pytest.raises(IndexError):
        runs[-4]


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"config.lr": 0.1}, "ab"),
        ({"config.lr.value": {"$lt": 0.1}}, "c"),
        ({"config.opt.name": "adam", "config.seed": {"$in": [2, 3]}}, "b"),
        ({"tags": "old"}, "a"),
        ({"tags": {"$in": ["baseline"]}}, "abc"),
        ({"display_name": {"$regex": "^[bc]"}}, "bc"),
        ({"summary_metrics.best.acc": {"$gte": 1}}, "bc"),
        ({"$or": [{"name": "a"}, {"config.lr": 0.01}]}, "ac"),
        ({"state": "crashed"}, "abc"),
        ({"created_at": {"$gte": "2023-11-14T22:11:00Z"}}, "ab"),
        ({"sweep": None}, "abc"),
    ],
)
def test_filters(folder: Path, conditions: dict[str, Any], found: str) -> None:
    for log in folder.rglob("*.wandb"):
        # Silent for long, so that their state is known.
        os.utime(log, (1_700_000_000, 1_700_000_000))
    assert sorted(ids(histscan.open_runs(folder).filter(conditions))) == sorted(found)
    assert sorted(ids(histscan.open_runs(folder, filters=conditions))) == sorted(found)


def test_orders(folder: Path) -> None:
    runs = histscan.open_runs(folder)
    assert ids(runs.sort("-created_at")) == ["a", "b", "c"]
    assert ids(runs.sort("config.lr,-config.seed")) == ["c", "b", "a"]
    assert ids(histscan.open_runs(folder, order="created_at")) == ["c", "b", "a"]
    with pytest.raises(FilterError, match="no field 'lr'"):
        runs.sort("lr")
    with pytest.raises(FilterError, match=r"no operator \$almost"):
        runs.filter({"config.lr": {"$almost": 1}})


def test_the_table_of_runs(folder: Path) -> None:
    table = histscan.open_runs(folder).sort("config.lr,-config.seed").table()
    rows = table.rows()
    assert table.columns[:10] == [
        "id", "name", "state", "created_at", "heartbeat_at", "duration", "tags", "group", "job_type", "sweep",
    ]  # fmt: skip
    assert [row["id"] for row in rows] == ["c", "b", "a"]
    assert [row["config.opt.name"] for row in rows] == ["adam"] * 3
    assert [row["summary.best.acc"] for row in rows] == [2, 1, 0]
    assert rows[2]["created_at"] == datetime.fromtimestamp(1_700_000_000, timezone.utc)
    assert rows[2]["tags"] == ["old", "baseline"]
    assert table.to_polars().height == table.to_arrow().num_rows == len(table.to_pandas()) == len(table) == 3
    shown = repr(table)
    assert shown.splitlines()[0].split()[:3] == ["id", "name", "state"]
    assert "3 runs" in shown


def test_names_in_the_table_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    write_log(tmp_path, "a", [], name="\x1b[31mred\n")
    assert "\x1b" not in repr(histscan.open_runs(tmp_path).table())


def test_resumed_runs_are_one_run(tmp_path: Path) -> None:
    segments = sorted(REAL_LOGS.glob("resumed-*.wandb"))
    one = histscan.open(segments)
    (run,) = histscan.open_runs(segments)
    assert run.id == one.id == "h465zmzw"
    assert same(list(run.scan_history()), list(one.scan_history()))
    # As wandb names them, only those with the same id are looked into.
    for segment in segments:
        folder = tmp_path / segment.stem.replace("resumed", "run")
        folder.mkdir()
        shutil.copy(segment, folder / "run-h465zmzw.wandb")
    write_log(tmp_path, "other", [{"_step": 0}])
    runs = histscan.open_runs(tmp_path)
    assert sorted(ids(runs)) == ["h465zmzw", "other"]
    assert runs.filter({"name": "h465zmzw"}).to_arrow().num_rows == len(list(one.scan_history()))


def test_copies_count_once_and_other_projects_are_other_runs(tmp_path: Path) -> None:
    log = write_log(tmp_path / "one", "a", [{"_step": 0, "x": 1}])
    shutil.copytree(log.parent, tmp_path / "copy" / log.parent.name)
    write_log(tmp_path / "two", "a", [{"_step": 0, "x": 2}], project="other", start=5)
    runs = histscan.open_runs(tmp_path)
    assert sorted(run.project for run in runs) == ["other", "p"]
    table = runs.to_arrow()
    assert sorted(table["run_id"].to_pylist()) == ["e/other/a", "e/p/a"]


def test_links_to_a_run_count_once(folder: Path) -> None:
    (folder / "latest-run").symlink_to(next(folder.glob("*-a")))
    assert sorted(ids(histscan.open_runs(folder))) == ["a", "b", "c"]
    assert sorted(ids(histscan.open_runs(f"{folder}/*"))) == ["a", "b", "c"]


def test_exported_files(folder: Path) -> None:
    exported = folder / "exported"
    exported.mkdir()
    source = histscan.open_runs(folder)
    for run in source:
        with (exported / f"{run.name}.parquet").open("wb") as output:
            write_parquet(run.scan_history(), output, metadata=run_metadata(run))
    runs = histscan.open_runs(exported)
    assert sorted(ids(runs)) == ["a", "b", "c"]
    ordered = source.sort("display_name")
    assert runs.sort("display_name").to_arrow().equals(ordered.to_arrow())
    assert runs.filter({"config.lr": 0.01})[0].id == "c"
    mixed = histscan.open_runs([next(folder.glob("*-a")), exported / "b.parquet"])
    assert sorted(ids(mixed)) == ["a", "b"]
    assert sorted(mixed.to_arrow()["run_id"].to_pylist()) == ["a", "b", "b"]


def test_open_says_how_to_open_many(folder: Path) -> None:
    with pytest.raises(histscan.HistoryError, match=r"3 different runs.*histscan\.open_runs\(\)"):
        histscan.open(folder)
