"""Several logs that are one run: resumed runs leave a log each time they are started."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import histscan
from histscan import HistoryError, LogOverlapWarning, LogTruncatedWarning
from histscan.sources.files import WINDOW_SIZE
from tests.support import log_oracle, wire
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import steps_of
from tests.support.paths import SEGMENTS


def run_record(run_id: str = "abc", started: int | None = None, *, project: str = "p", config: str = "") -> bytes:
    """A run's record with the time at which it was started."""
    update = wire.field(1, wire.item(["lr"], config)) if config else b""
    return wire.run_record(run_id, project=project, config=update, started=started)


def rows_of(segment: int, steps: Iterable[int]) -> list[bytes]:
    return [wire.history_record([(["_step"], str(step)), (["segment"], str(segment))], step) for step in steps]


def write_segment(folder: Path, name: str, records: Iterable[bytes]) -> Path:
    """Writes a log where wandb puts it: in a folder of its own."""
    run_folder = folder / name
    run_folder.mkdir(parents=True)
    path = run_folder / f"run-{name.rpartition('-')[2]}.wandb"
    path.write_bytes(wire.write_log(records))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three segments; the second logs steps 6 to 9 of the first again, and the third step 12 of the second."""
    wandb = tmp_path / "wandb"
    write_segment(wandb, "run-20260101_120000-abc", [run_record(started=100), *rows_of(1, range(10))])
    write_segment(wandb, "run-20260101_130000-abc", [run_record(started=200), *rows_of(2, range(6, 13))])
    write_segment(wandb, "run-20260101_140000-abc", [run_record(started=300), *rows_of(3, range(12, 15))])
    (wandb / "latest-run").symlink_to(wandb / "run-20260101_140000-abc")
    return wandb


EXPECTED = [
    *((step, 1) for step in range(6)),
    *((step, 2) for step in range(6, 12)),
    *((step, 3) for step in (12, 13, 14)),
]


@pytest.mark.parametrize("way", ["folder", "pattern of folders", "pattern of files", "list", "list in another order"])
def test_every_way_to_name_the_segments(folder: Path, way: str) -> None:
    logs = sorted(folder.glob("run-*/*.wandb"))
    path: Any = {
        "folder": folder,
        "pattern of folders": str(folder / "run-*-abc"),
        "pattern of files": str(folder / "*" / "*.wandb"),
        "list": logs,
        "list in another order": [str(log) for log in reversed(logs)],
    }[way]
    run = histscan.open(path)
    assert isinstance(run, histscan.LogRun)
    assert (run.id, run.files, run.file, run.lastHistoryStep) == ("abc", logs, folder, 14)
    with pytest.warns(LogOverlapWarning, match=r"5 rows were logged again .* \(within steps 6 to 12\)"):
        assert [(row["_step"], row["segment"]) for row in run.scan_history()] == EXPECTED


@pytest.mark.filterwarnings("ignore::histscan.LogOverlapWarning")
def test_windows_columns_and_restarts(folder: Path) -> None:
    run = histscan.open(folder)
    scan = run.scan_history(min_step=4, max_step=13)
    expected = [(step, segment) for step, segment in EXPECTED if 4 <= step < 13]
    for _ in range(2):
        assert [(row["_step"], row["segment"]) for row in scan] == expected
    table = run.to_arrow()
    assert list(zip(*(table.column(name).to_pylist() for name in ("_step", "segment")), strict=True)) == EXPECTED
    batches = list(run.batches(rows=4))
    assert [step for batch in batches for step in batch.column("_step").to_pylist()] == [step for step, _ in EXPECTED]
    assert scan.bytes_read == scan.size == sum(log.stat().st_size for log in run.files)


@pytest.mark.filterwarnings("ignore::histscan.LogOverlapWarning")
def test_export_and_summary_of_segments(folder: Path, tmp_path: Path) -> None:
    from histscan.cli.main import main

    output = tmp_path / "all.parquet"
    assert main(["export", str(folder), "-o", str(output)]) == 0
    assert pq.read_table(output).column("_step").to_pylist() == [step for step, _ in EXPECTED]
    assert main(["info", str(folder)]) == 0


def test_real_segments_are_one_run() -> None:
    expected = [row for log in SEGMENTS for row in log_oracle.rows_by_wandb(log.read_bytes())]
    run = histscan.open(SEGMENTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fingerprint(list(run.scan_history())) == fingerprint(expected)
    assert (run.id, len(SEGMENTS), run.lastHistoryStep) == ("h465zmzw", 3, 2974)


def test_start_times_order_the_logs_and_not_their_names(tmp_path: Path) -> None:
    first = write_segment(tmp_path, "b-abc", [run_record(started=100), *rows_of(1, range(4))])
    second = write_segment(tmp_path, "a-abc", [run_record(started=200), *rows_of(2, range(2, 4))])
    run = histscan.open([second, first])
    assert isinstance(run, histscan.LogRun)
    assert run.files == [first, second]
    with pytest.warns(LogOverlapWarning, match="2 rows were"):
        assert [row["segment"] for row in run.scan_history()] == [1, 1, 2, 2]


def test_folders_order_logs_that_do_not_tell_their_start(tmp_path: Path) -> None:
    later = write_segment(tmp_path, "run-20260101_130000-abc", [run_record(), *rows_of(2, [1])])
    earlier = write_segment(tmp_path, "offline-run-20260101_120000-abc", [run_record(started=900), *rows_of(1, [0])])
    run = histscan.open([later, earlier])
    assert isinstance(run, histscan.LogRun)
    assert run.files == [earlier, later]


def test_rows_without_steps_are_counted_on(tmp_path: Path) -> None:
    """Else the rows of each log would take the place of those of the one before."""
    rows = [wire.history_record([(["x"], str(number))]) for number in range(3)]
    for number in range(2):
        write_segment(tmp_path, f"run-2026010{number}_120000-abc", [run_record(started=number), *rows])
    run = histscan.open(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [(row["_step"], row["x"]) for row in run.scan_history()] == list(
            zip(range(6), [0, 1, 2] * 2, strict=True)
        )


def test_a_segment_that_was_killed_says_so_and_the_next_goes_on(tmp_path: Path) -> None:
    first = write_segment(tmp_path, "run-20260101_120000-abc", [run_record(started=1), *rows_of(1, range(5))])
    write_segment(tmp_path, "run-20260101_130000-abc", [run_record(started=2), *rows_of(2, range(4, 7))])
    first.write_bytes(first.read_bytes()[:-3])
    with pytest.warns(LogTruncatedWarning, match="ends within a record"):
        assert steps_of(histscan.open(tmp_path).scan_history()) == list(range(7))


def test_a_corrupt_segment_ends_the_scan_with_the_rows_before(tmp_path: Path) -> None:
    first = write_segment(tmp_path, "run-20260101_120000-abc", [run_record(started=1), *rows_of(1, range(5))])
    write_segment(tmp_path, "run-20260101_130000-abc", [run_record(started=2), *rows_of(2, range(5, 8))])
    content = bytearray(first.read_bytes())
    content[-2] ^= 0xFF
    first.write_bytes(content)
    scan = histscan.open(tmp_path).scan_history()
    assert [next(scan)["_step"] for _ in range(4)] == [0, 1, 2, 3]
    for _ in range(2):
        with pytest.raises(histscan.LogFormatError, match="checksum"):
            next(scan)
    with pytest.warns(histscan.LogCorruptWarning):
        rows = list(histscan.open(tmp_path, on_corrupt="skip").scan_history())
    assert steps_of(rows) == [0, 1, 2, 3, 5, 6, 7]


def test_config_and_summary_are_those_of_the_last_segment(tmp_path: Path) -> None:
    for number in (1, 2):
        records = [
            run_record(started=number, config=str(number)),
            wire.update_record(wire.SUMMARY, [(["best"], str(number)), ([f"only{number}"], "1")]),
        ]
        write_segment(tmp_path, f"run-2026010{number}_120000-abc", records)
    run = histscan.open(tmp_path)
    assert run.config == {"lr": 2}
    assert run.summary == {"best": 2, "only1": 1, "only2": 1}


def test_a_repeated_run_record_does_not_undo_changes_of_the_config(tmp_path: Path) -> None:
    changed = wire.update_record(wire.CONFIG, [(["lr"], "2")])
    # The record comes again in a later window of the file than the change.
    rows = [wire.history_record([(["text"], json.dumps("x" * WINDOW_SIZE))], 0)]
    first = [run_record(started=1, config="1"), changed, *rows, run_record(started=1, config="1")]
    write_segment(tmp_path, "run-20260101_120000-abc", first)
    assert histscan.open(tmp_path).config == {"lr": 2}
    write_segment(tmp_path, "run-20260102_120000-abc", [run_record(started=2, config="3")])
    assert histscan.open(tmp_path).config == {"lr": 3}


@pytest.mark.parametrize("other", [run_record("other", 5), run_record("abc", 5, project="q")])
def test_logs_of_different_runs_are_refused(tmp_path: Path, other: bytes) -> None:
    write_segment(tmp_path, "run-20260101_120000-abc", [run_record(started=1)])
    write_segment(tmp_path, "run-20260101_130000-abc", [run_record(started=2)])
    write_segment(tmp_path, "run-20260101_140000-other", [other])
    for path in (tmp_path, str(tmp_path / "run-*"), sorted(tmp_path.glob("*/*.wandb"))):
        with pytest.raises(HistoryError, match=r"holds 2 different runs.*pass the path of one run"):
            histscan.open(path)
    assert histscan.open(tmp_path / "run-20260101_130000-abc").id == "abc"


def test_growing_segments_are_read_again(folder: Path) -> None:
    run = histscan.open(folder)
    assert run.lastHistoryStep == 14
    last = run.files[-1]
    last.write_bytes(wire.append_record(wire.append_record(last.read_bytes(), *rows_of(3, [7])), *rows_of(3, [15])))
    assert run.lastHistoryStep == 15
    with pytest.warns(LogOverlapWarning, match="6 rows were"):
        rows = list(run.scan_history())
    assert [(row["_step"], row["segment"]) for row in rows][-2:] == [(7, 3), (15, 3)]
    assert (7, 2) not in [(row["_step"], row["segment"]) for row in rows]


@pytest.mark.filterwarnings("ignore::histscan.LogOverlapWarning")
def test_a_scan_of_segments_survives_fork(folder: Path) -> None:
    scan = histscan.open(folder).scan_history()
    first = [next(scan) for _ in range(3)]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(steps_of(iter(lambda: next(scan, None), None))).encode())
        finally:
            os._exit(0)
    os.close(writer)
    # A `for` loop would start over.
    rest = steps_of(iter(lambda: next(scan, None), None))
    with os.fdopen(reader) as pipe:
        assert json.load(pipe) == rest
    os.waitpid(child, 0)
    assert [*steps_of(first), *rest] == [step for step, _ in EXPECTED]


class TestKilledRuns:
    """Logs without summary or configuration, and the files that wandb writes beside them."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Path:
        path = write_segment(tmp_path, "run-20260101_120000-abc", [run_record(), *rows_of(1, range(3))])
        files = path.parent / "files"
        files.mkdir()
        (files / "config.yaml").write_text(
            "wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n    cli_version: 0.13.4\n"
            "lr:\n  desc: null\n  value: 0.1\nnested:\n  desc: null\n  value:\n    a: [1, 2]\nplain: text\n"
        )
        (files / "wandb-summary.json").write_text('{"loss": 0.5, "best": NaN, "_step": 2}')
        return path

    def test_files_beside_the_log_are_read_and_named(self, log: Path) -> None:
        run = histscan.open(log)
        assert isinstance(run, histscan.LogRun)
        assert run.config == {"lr": 0.1, "nested": {"a": [1, 2]}, "plain": "text"}
        assert fingerprint(run.summary) == fingerprint({"loss": 0.5, "best": float("nan"), "_step": 2})
        assert (run.config_file, run.summary_file) == (
            log.parent / "files" / "config.yaml",
            log.parent / "files" / "wandb-summary.json",
        )

    def test_what_the_log_has_counts(self, log: Path) -> None:
        records = [run_record(config="7"), wire.update_record(wire.SUMMARY, [(["loss"], "9")])]
        log.write_bytes(wire.write_log(records))
        run = histscan.open(log)
        assert isinstance(run, histscan.LogRun)
        assert (run.config, run.summary, run.config_file, run.summary_file) == ({"lr": 7}, {"loss": 9}, None, None)

    def test_of_segments_the_last_that_has_files_counts(self, log: Path) -> None:
        later = write_segment(log.parent.parent, "run-20260101_130000-abc", [run_record(), *rows_of(2, [5])])
        run = histscan.open([log, later])
        assert isinstance(run, histscan.LogRun)
        assert (run.config["lr"], run.summary["loss"]) == (0.1, 0.5)
        (later.parent / "files").mkdir()
        (later.parent / "files" / "wandb-summary.json").write_text('{"loss": 0.25}')
        run = histscan.open([log, later])
        assert isinstance(run, histscan.LogRun)
        assert (run.config["lr"], run.summary["loss"]) == (0.1, 0.25)
        assert run.summary_file == later.parent / "files" / "wandb-summary.json"

    def test_no_files(self, log: Path) -> None:
        shutil.rmtree(log.parent / "files")
        run = histscan.open(log)
        assert isinstance(run, histscan.LogRun)
        assert (run.config, run.summary, run.config_file, run.summary_file) == ({}, {}, None, None)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("config.yaml", "a: [1"),
            ("config.yaml", "- a"),
            ("config.yaml", "a: !!python/object/apply:os.getcwd []"),
            ("wandb-summary.json", '{"cut": '),
            ("wandb-summary.json", "[1]"),
        ],
    )
    def test_damaged_files_are_errors_that_name_them(self, log: Path, name: str, text: str) -> None:
        (log.parent / "files" / name).write_text(text)
        run = histscan.open(log)
        with pytest.raises(HistoryError, match=name):
            _ = run.config, run.summary
        assert steps_of(run.scan_history()) == [0, 1, 2]

    def test_info_says_where_they_come_from(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from histscan.cli.main import main

        assert main(["info", str(log)]) == 0
        shown = capsys.readouterr().out
        assert "config.yaml" in shown
        assert "wandb-summary.json" in shown
