"""Whatever goes wrong while a mirror is written, its files are whole, and the next call goes on."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import polars
import pyarrow.parquet
import pytest

import histscan
from tests.support import graphql_server, wire
from tests.support.command_line import check_refused, run
from tests.support.graphql_server import Answer, Received, data_answer
from tests.support.project_runs import rows_of, write_run, write_runs
from tests.support.served_runs import canonical
from tests.support.server_process import ServerProcess, serving

KEY = "a" * 40

MIRROR = """
import sys
import histscan
print(histscan.mirror(histscan.Api(sys.argv[1], "a" * 40).runs("team/many"), sys.argv[2]).new)
"""


def runs_of(server: ServerProcess) -> Any:
    return histscan.Api(server.url, KEY).runs("team/many")


def start(server: ServerProcess, goal: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MIRROR, server.url, str(goal)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def whole_files(goal: Path) -> list[str]:
    """The names of the history files, each of which can be read."""
    names = sorted(file.name for file in (goal / "history").glob("*.parquet"))
    for name in names:
        pyarrow.parquet.read_table(goal / "history" / name)
    return names


def check_complete(goal: Path, logs: Path) -> None:
    """Checks that a mirror has the rows of all logs, each once, in its run."""
    source = {run.id: list(run.scan_history()) for run in histscan.open_runs(logs)}
    back = {run.id: list(run.scan_history()) for run in histscan.open_runs(goal)}
    assert {run_id: [row["_step"] for row in rows] for run_id, rows in back.items()} == {
        run_id: [row["_step"] for row in rows] for run_id, rows in source.items()
    }
    assert {run_id: [row["note"] for row in rows] for run_id, rows in back.items()} == {
        run_id: [row["note"] for row in rows] for run_id, rows in source.items()
    }
    assert polars.scan_parquet(goal / "history/*.parquet").collect().height == sum(map(len, source.values()))
    assert not [file for file in goal.rglob(".*") if file.name.endswith(".partial")]


class TestKilled:
    @pytest.mark.parametrize("files", [1, 9, 30])
    def test_next_call_goes_on(self, tmp_path: Path, files: int) -> None:
        logs, goal = write_runs(tmp_path / "logs", 40), tmp_path / "mirror"
        with serving(logs, "--latency", "20ms") as server:
            process = start(server, goal)
            while process.poll() is None and len(list(goal.glob("history/*.parquet"))) < files:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done = whole_files(goal)
            server.forget_traffic()
            result = histscan.mirror(runs_of(server), goal)
            assert result.runs == 40
            # All but those whose files had appeared, but were not noted yet.
            assert result.unchanged >= len(done) - 16
            assert result.unchanged <= len(done)
            check_complete(goal, logs)

    def test_state_that_ends_within_a_line(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 5), tmp_path / "mirror"
        histscan.mirror(logs, goal)
        state = goal / "mirror.jsonl"
        lines = state.read_bytes()
        state.write_bytes(lines[:-20])
        assert len(histscan.open_runs(goal)) == 4
        assert histscan.mirror(logs, goal).new == 1
        check_complete(goal, logs)

    def test_damaged_state(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 3), tmp_path / "mirror"
        histscan.mirror(logs, goal)
        state = goal / "mirror.jsonl"
        lines = state.read_bytes().splitlines(keepends=True)
        state.write_bytes(b"".join([*lines[:2], b'{"key": ["x"]}\n', *lines[2:]]))
        with pytest.raises(histscan.HistoryDecodeError, match="line 3 of the mirror's state is damaged"):
            histscan.mirror(logs, goal)
        state.write_bytes(b"")
        with pytest.raises(histscan.HistoryDecodeError, match="the mirror's state is empty: remove the file"):
            histscan.open_runs(goal)
        state.write_bytes(json.dumps({"histscan_mirror": 99, "server": ""}).encode() + b"\n")
        with pytest.raises(histscan.HistoryError, match="update histscan"):
            histscan.open_runs(goal)

    def test_interrupt(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 30), tmp_path / "mirror"

        def interrupt(progress: Any) -> None:
            if progress.runs == 7:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            histscan.mirror(logs, goal, progress=interrupt, threads=2)
        assert len(whole_files(goal)) >= 7
        assert histscan.mirror(logs, goal).unchanged >= 7
        check_complete(goal, logs)


class TestTwoAtOnce:
    def test_processes(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 20), tmp_path / "mirror"
        with serving(logs, "--latency", "5ms") as server:
            processes = [start(server, goal) for _ in range(2)]
            new = [int(process.communicate(timeout=100)[0]) for process in processes]
            # Each run was read by one of them.
            assert sum(new) == 20
        check_complete(goal, logs)

    def test_threads(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 10), tmp_path / "mirror"
        results: list[int] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", histscan.MirrorWarning)
            threads = [
                threading.Thread(target=lambda: results.append(histscan.mirror(logs, goal).new)) for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(results) == [0, 0, 10]
        check_complete(goal, logs)

    def test_waiting_is_reported(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 2), tmp_path / "mirror"
        told: list[str] = []
        others: list[threading.Thread] = []

        def start_other(_progress: Any) -> None:
            if not others:
                others.append(threading.Thread(target=histscan.mirror, args=(logs, goal)))
                others[0].start()
                while not told:
                    time.sleep(0.001)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(warnings, "warn", lambda message, category, stacklevel: told.append(message))
            histscan.mirror(logs, goal, progress=start_other)
            others[0].join()
        assert told == [f"another process is writing to the mirror {str(goal)!r}: waiting until it ends"]
        check_complete(goal, logs)


class Project:
    """A server of a project; tests can change its runs."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.deleted: set[str] = set()

    def respond(self, request: Received) -> Answer:
        variables = request.payload["variables"]
        if request.operation == "ListRuns":
            chosen = json.loads(variables["filters"]).get("name", {}).get("$in", self.names)
            names = [
                name for name in self.names if name in chosen and (chosen is self.names or name not in self.deleted)
            ]
            texts = {"config": "{}", "summaryMetrics": "{}"} if "summaryMetrics" in request.payload["query"] else {}
            edges = [{"node": self.outline(name) | texts, "cursor": name} for name in names]
            listed = {"edges": edges, "pageInfo": {"hasNextPage": False, "endCursor": None}}
            return data_answer({"project": {"runCount": len(edges), "runs": listed}})
        name = variables["run"]
        if name in self.deleted:
            return data_answer({"project": {"run": None}})
        rows = [json.dumps({"_step": step, "note": f"{name} {step}"}) for step in range(5)]
        described = {"config": "{}", "summaryMetrics": "{}", "historyKeys": {"lastStep": 4}, "history": rows}
        return data_answer({"project": {"run": self.outline(name) | described}})

    def outline(self, name: str) -> dict[str, Any]:
        times = {"createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": "2026-01-01T01:00:00Z"}
        return {"name": name, "displayName": name, "state": "finished", "historyLineCount": 5, **times}


class TestServerFaults:
    @pytest.mark.parametrize("fault", ["429:rate=0.4", "503:every=4"])
    def test_storm(self, tmp_path: Path, fault: str) -> None:
        logs, goal = write_runs(tmp_path / "logs", 12), tmp_path / "mirror"
        with serving(logs, "--fault", fault) as server:
            assert histscan.mirror(runs_of(server), goal).new == 12
            assert sum(count for status, count in server.traffic()["statuses"].items() if int(status) >= 400) > 0
        check_complete(goal, logs)

    def test_run_that_is_deleted_meanwhile(self, tmp_path: Path) -> None:
        backend = Project(["a", "gone", "z"])
        goal = tmp_path / "mirror"
        with graphql_server.serving(backend.respond) as server:
            runs = histscan.Api(server.url, KEY).runs("team/many")
            assert histscan.mirror(runs, tmp_path / "whole").new == 3
            backend.deleted = {"gone"}
            result = histscan.mirror(runs, goal)
            assert (result.new, result.failures) == (2, {})
            assert [run.id for run in histscan.open_runs(goal)] == ["a", "z"]
            # Listed no more.
            backend.names.remove("gone")
            result = histscan.mirror(runs, tmp_path / "whole")
            assert (result.runs, result.unchanged, result.deleted) == (3, 2, 1)
            table = polars.read_parquet(tmp_path / "whole" / "runs.parquet")
            assert table.filter("is_deleted")["run_id"].to_list() == ["gone"]
            kept = {run.id: len(list(run.scan_history())) for run in histscan.open_runs(tmp_path / "whole")}
            assert kept == {"a": 5, "z": 5, "gone": 5}
            # A selection says nothing about other runs.
            assert histscan.mirror(runs, goal, filters={"state": "finished"}).deleted == 0
            # It is back.
            backend.names.append("gone")
            backend.deleted = set()
            assert histscan.mirror(runs, tmp_path / "whole").deleted == 0

    def test_failing_run(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 6), tmp_path / "mirror"
        log = logs / "run003" / "run-run003.wandb"
        whole = log.read_bytes()
        broken = bytearray(whole)
        broken[len(whole) // 2] ^= 0xFF
        log.write_bytes(broken)
        with pytest.raises(histscan.LogFormatError, match="run003"):
            histscan.mirror(logs, goal)
        # What was read before is not lost, and can be used.
        assert pyarrow.parquet.read_metadata(goal / "runs.parquet").num_rows == len(histscan.open_runs(goal))
        with pytest.warns(histscan.RunSkippedWarning, match="team/many/run003 is left out"):
            result = histscan.mirror(logs, goal, on_error="skip")
        assert (result.runs, list(result.failures)) == (5, ["team/many/run003"])
        assert "run003.parquet" not in whole_files(goal)
        log.write_bytes(whole)
        assert histscan.mirror(logs, goal).new == 1
        check_complete(goal, logs)

    def test_log_that_cannot_be_opened(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 2), tmp_path / "mirror"
        (logs / "run-bad.wandb").write_bytes(b"no log")
        with pytest.raises(histscan.LogFormatError):
            histscan.mirror(logs, goal)
        with pytest.warns(histscan.RunSkippedWarning, match=r"run-bad\.wandb"):
            assert histscan.mirror(logs, goal, on_error="skip").runs == 2


class TestFullDisk:
    @pytest.fixture
    def full_disk(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
        """Lets writing fail once ``left`` bytes were written to new files."""
        disk = {"left": 1 << 40}
        open_file = Path.open

        class Limited:
            def __init__(self, file: Any) -> None:
                self._file = file

            def write(self, data: Any) -> int:
                disk["left"] -= len(memoryview(data).cast("B"))
                if disk["left"] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written: int = self._file.write(data)
                return written

            def __getattr__(self, name: str) -> Any:
                return getattr(self._file, name)

            def __enter__(self) -> Limited:
                return self

            def __exit__(self, *_exception: object) -> None:
                self._file.close()

        def open_limited(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            file = open_file(path, mode, *arguments, **options)
            return Limited(file) if path.name.endswith(".partial") else file

        monkeypatch.setattr(Path, "open", open_limited)
        return disk

    @pytest.mark.parametrize("on_error", ["raise", "skip"])
    @pytest.mark.parametrize("left", [100, 9_000, 40_000, 60_000])
    def test_no_partial_file(self, tmp_path: Path, full_disk: dict[str, int], left: int, on_error: Any) -> None:
        logs, goal = write_runs(tmp_path / "logs", 12), tmp_path / "mirror"
        histscan.mirror(write_runs(tmp_path / "few", 1), goal)
        full_disk["left"] = left
        with pytest.raises(OSError, match="No space left on device") as caught:
            histscan.mirror(logs, goal, on_error=on_error)
        assert "mirror" in str(caught.value.filename)
        whole_files(goal)
        assert not [file for file in goal.rglob(".*") if file.name.endswith(".partial")]
        full_disk["left"] = 1 << 40
        histscan.mirror(logs, goal)
        check_complete(goal, logs)

    def test_long_run(self, tmp_path: Path, full_disk: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
        # Such a run goes to a temporary file first.
        monkeypatch.setattr("histscan.many.mirrors.run_task._CELLS_IN_MEMORY", 100)
        logs, goal = write_runs(tmp_path / "logs", 9), tmp_path / "mirror"
        full_disk["left"] = 20_000
        with pytest.raises(OSError, match="No space left on device"):
            histscan.mirror(logs, goal)
        full_disk["left"] = 1 << 40
        histscan.mirror(logs, goal)
        check_complete(goal, logs)


NAMES = [
    *("../../evil", "a/b", "..", ".", "nul\0byte", "x" * 300, "Case", "case", "CASE", "äöü ✓", "two\nlines", "*?[a]"),
    *("-o", "run_id", "a.b", " space ", "%2e%2e", "~", "con", "runs", "e_p_r_0.runhistory"),
]


class TestNames:
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Path:
        for place, name in enumerate(NAMES):
            rows = [{"_step": step, "v": place, "run_id": "mine", "Run_ID": 0.5} for step in range(3)]
            write_run(tmp_path / "logs", name, rows, place=f"place{place}")
        return tmp_path / "logs"

    @pytest.mark.parametrize("is_served", [False, True])
    def test_names_never_become_paths(self, tmp_path: Path, logs: Path, is_served: bool) -> None:
        goal = tmp_path / "mirrors" / "mirror"
        if is_served:
            with serving(logs) as server:
                histscan.mirror(runs_of(server), goal, system=True)
        else:
            histscan.mirror(logs, goal)
        files = os.listdir(goal / "history")
        assert len({name.lower() for name in files}) == len(NAMES)
        assert {"Case.parquet", "a.b.parquet", "con.parquet"} <= set(files)
        assert all(name.isascii() and len(name) < 110 and name[0] not in ".-" for name in files)
        assert os.listdir(tmp_path / "mirrors") == ["mirror"]
        back = {run.id: list(run.scan_history()) for run in histscan.open_runs(goal)}
        assert back == {
            name: [{"_step": step, "v": place, "run_id": "mine", "Run_ID": 0.5} for step in range(3)]
            for place, name in enumerate(NAMES)
        }

    def test_a_key_that_is_called_run_id(self, tmp_path: Path, logs: Path) -> None:
        histscan.mirror(logs, tmp_path / "mirror")
        frame = polars.scan_parquet(tmp_path / "mirror/history/*.parquet").collect()
        assert frame.columns == ["run_id", "_step", "history.Run_ID", "history.run_id", "v"]
        assert sorted(frame["run_id"].unique()) == sorted(NAMES)
        assert set(frame["history.run_id"]) == {"mine"}

    def test_runs_of_the_same_names(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        write_run(logs, "same", [{"_step": 0, "v": 1}], place="one", project="p1")
        write_run(logs, "same", [{"_step": 0, "v": 2}], place="two", project="p2")
        rows = [{"_step": 0, "v": 3}]
        # Parquet files of others name no run.
        for name in ("x", "y"):
            (logs / name).mkdir()
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), logs / name / "history.parquet")
        for new in (4, 0):
            assert histscan.mirror(logs, tmp_path / "mirror").new == new
        frame = polars.scan_parquet(tmp_path / "mirror/history/*.parquet").collect()
        assert sorted(frame["v"]) == [1, 2, 3, 3]
        assert frame["run_id"].n_unique() == 4


def test_many_keys_are_not_added_to_all_files(tmp_path: Path) -> None:
    keys = [f"key{number}" for number in range(5_000)]
    write_run(tmp_path / "logs", "wide", [{"_step": 0, **dict.fromkeys(keys, 0.5)}])
    write_run(tmp_path / "logs", "narrow", [{"_step": 0, "key7": 1}])
    histscan.mirror(tmp_path / "logs", tmp_path / "mirror")
    files = tmp_path / "mirror" / "history"
    assert pyarrow.parquet.read_schema(files / "narrow.parquet").names == ["run_id", "_step", "key7"]
    # The types are the same all the same.
    lazy = polars.scan_parquet(files / "*.parquet", extra_columns="ignore", missing_columns="insert")
    assert sorted(lazy.select("key7").collect()["key7"]) == [0.5, 1.0]
    narrow, wide = histscan.open_runs(tmp_path / "mirror")
    assert repr(list(narrow.scan_history())) == "[{'_step': 0, 'key7': 1}]"
    assert len(wide.keys()) == 5_001


def test_long_runs_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histscan.many.mirrors.run_task._CELLS_IN_MEMORY", 100)
    logs, goal = write_runs(tmp_path / "logs", 9), tmp_path / "mirror"
    histscan.mirror(logs, goal)
    check_complete(goal, logs)
    source, back = histscan.open_runs(logs).to_arrow(), histscan.open_runs(goal).to_arrow()
    assert back.schema == source.schema
    assert repr(back.to_pylist()) == repr(source.to_pylist())


def test_rows_with_odd_steps(tmp_path: Path) -> None:
    log = tmp_path / "run-odd.wandb"
    steps = ["0", "1.5", '"two"', "7", "3"]
    records = [wire.history_record([("_step", step), ("note", str(place))]) for place, step in enumerate(steps)]
    log.write_bytes(wire.write_log([wire.run_record("odd"), *records, wire.history_record([("note", "5")])]))
    write_run(tmp_path, "usual", rows_of(0, range(4)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", histscan.LogStepWarning)
        histscan.mirror(tmp_path, tmp_path / "mirror")
        source = histscan.open(log)
        odd = next(run for run in histscan.open_runs(tmp_path / "mirror") if run.id == "odd")
        expected = list(source.scan_history())
    found = list(odd.scan_history())
    assert sorted(repr(canonical(row)) for row in found) == sorted(repr(canonical(row)) for row in expected)
    assert odd.lastHistoryStep == source.lastHistoryStep


def test_runs_of_a_mirror_can_be_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    histscan.mirror(write_runs(tmp_path / "logs", 2), tmp_path / "mirror")
    monkeypatch.chdir(tmp_path)
    first = pickle.dumps(histscan.open_runs("mirror")[0])
    monkeypatch.chdir("/")
    assert len(list(pickle.loads(first).scan_history())) == 20


class TestCommand:
    def test_mirror(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 5), tmp_path / "mirror"
        finished = run("mirror", logs, "-o", goal, "--system")
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout == f"{goal}: 5 runs (5 new), 80 rows read\n"
        finished = run("mirror", logs, "-o", goal, "--filter", '{"config.lr": {"$lt": 0.15}}', "--filter", "{}")
        assert finished.stdout == f"{goal}: 5 runs (0 new, 2 unchanged), 0 rows read\n"
        assert run("mirror", logs, "-o", goal, "-k", "lo*", "-q").stdout == ""
        assert histscan.open_runs(goal)[0].keys() == ["_step", "loss"]

    def test_keep_going(self, tmp_path: Path) -> None:
        logs, goal = write_runs(tmp_path / "logs", 3), tmp_path / "mirror"
        (logs / "run-bad.wandb").write_bytes(b"no log")
        finished = run("mirror", logs, "-o", goal, "--keep-going")
        assert finished.returncode == 1
        assert "run-bad.wandb is left out" in finished.stderr
        assert finished.stdout == f"{goal}: 3 runs (3 new, 1 failed), 60 rows read\n"
        check_refused(run("mirror", logs, "-o", tmp_path / "other"), 1, "run-bad.wandb")

    def test_refusals(self, tmp_path: Path) -> None:
        logs = write_runs(tmp_path / "logs", 1)
        check_refused(run("mirror", logs, "-o", tmp_path / "m", "--filter", "{"), 2, "not JSON")
        check_refused(run("mirror", logs, "-o", tmp_path / "m", "--filter", "[]"), 2, "not a JSON object")
        check_refused(run("mirror", logs, "-o", tmp_path / "m", "--filter", '{"$no": 1}'), 2, "$no")
        check_refused(run("mirror", logs, "-o", tmp_path / "m", "--threads", "0"), 2, "--threads must be at least 1")
        check_refused(run("mirror", tmp_path / "none", "-o", tmp_path / "m"), 1, "none")
        check_refused(run("mirror", logs, "-o", logs), 1, "has other files")
        assert not (tmp_path / "m").exists()
