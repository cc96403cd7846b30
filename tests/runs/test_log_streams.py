"""System metrics, console output and run facts of a log equal what wandb-core uploads for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from google.protobuf.json_format import MessageToDict

import histscan
from histscan.errors import HistoryDecodeError, LogFormatError
from tests.support import wire
from tests.support.log_oracle import records_by_wandb
from tests.support.log_samples import write_run
from tests.support.recorded_program import record_program
from tests.support.stream_records import (
    METRIC,
    OUTPUT,
    STATS,
    metric,
    output_record,
    stats_record,
)
from tests.support.sync_server import Upload, sync

# Writes in pieces, so that escape sequences and lines are in several records.
PROGRAM = r"""
run = wandb.init(
    id="r1",
    project="p",
    entity="e",
    settings=settings.model_copy(update={"x_stats_sampling_interval": 0.1, "run_tags": ["a", "b"]}),
)
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch")
run.define_metric("loss", step_metric="epoch", summary="min")
run.define_metric("loss", step_metric="clock")
out, err = sys.stdout, sys.stderr
for step in range(4):
    run.log({"loss": 1 / (step + 1), "epoch": step, "clock": step, "val/accuracy": step})
    time.sleep(0.1)
for text in [
    "trailing   \n", "overwritten\r", "by this\n", "abc\rX\n", "12345\b\b\bxy\n", "crlf\r\n", "done\r    \rcleared\n",
    "gone\r\x1b[Kkept\n", "keep this\x1b[5D\x1b[K|\n", "abc\x1b[1Kx\n", "abc\x1b[2Kx\n", "\x1b]0;title\x07window\n",
    "\x1b[1mbold\x1b[0m \x1b[38;5;12mblue\x1b[0m\n", "\x1b[", "31mred\x1b[0m\n", "bell\x07!\n", "tab\there\n",
    "\xe9 \u4e16 \U0001f600\n", "col\x1b[10Cfar\n", "x" * 300 + "\n", "   leading\n", "two\nlines\n", "unfinished",
]:
    out.write(text)
for outer in range(4):
    err.write(f"\router {outer}")
    for inner in range(3):
        err.write("\n")
        err.write(f"\rinner {inner}")
        err.write("\x1b[A")
err.write("\n\n")
err.write("end\n")
for step in range(100):
    err.write(f"\rprogress {step}/99")
err.write("\n")
run.finish(exit_code=3)
"""


@dataclass
class Recorded:
    folder: Path
    log: bytes
    upload: Upload

    @property
    def run(self) -> histscan.LogRun:
        return histscan.LogRun(self.folder)

    def records(self, kind: str) -> list[Any]:
        return [getattr(record, kind) for record in records_by_wandb(self.log) if record.HasField(kind)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    workspace = tmp_path_factory.mktemp("program")
    folder = record_program(workspace, PROGRAM)
    return Recorded(folder, next(folder.glob("*.wandb")).read_bytes(), sync(folder, workspace))


def canonical(rows: Any) -> list[str]:
    return [json.dumps(row) for row in rows]


def test_system_metrics_are_the_events_that_wandb_uploads(recorded: Recorded) -> None:
    events = [json.loads(line) for line in recorded.upload.streamed["wandb-events.jsonl"]]
    assert len(events) > 3
    scan = recorded.run.system_metrics()
    assert canonical(scan) == canonical(events)
    # From the start, and from amid the rows.
    next(iter(scan))
    assert canonical(scan) == canonical(events)


def test_system_metrics_by_keys_and_as_frames(recorded: Recorded) -> None:
    rows = list(recorded.run.system_metrics())
    keys = ["system.cpu", "_runtime"]
    expected = [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]
    assert expected
    assert canonical(recorded.run.system_metrics(keys)) == canonical(expected)
    assert list(recorded.run.system_metrics(["system.cpu", "nothing"])) == []
    table = recorded.run.system_metrics().to_arrow()
    assert table.num_rows == len(rows)
    assert set(table.column_names) == {key for row in rows for key in row}
    assert table.column("_timestamp").to_pylist() == [row["_timestamp"] for row in rows]
    assert recorded.run.system_metrics(keys).to_arrow().column_names == keys
    assert recorded.run.system_metrics().to_polars()["system.cpu"].to_list() == [row.get("system.cpu") for row in rows]
    assert recorded.run.system_metrics().to_pandas()["_runtime"].tolist() == [row["_runtime"] for row in rows]
    batches = list(recorded.run.system_metrics().batches(rows=2))
    assert pyarrow.Table.from_batches(batches).equals(table)
    for wrong in ("system.cpu", [1]):
        with pytest.raises(ValueError, match="list of strings"):
            recorded.run.system_metrics(wrong)  # type: ignore[arg-type]


def test_console_lines_are_those_that_wandb_uploads(recorded: Recorded) -> None:
    uploaded: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for line in recorded.upload.streamed["output.log"]:
        parts = re.fullmatch(r"(ERROR )?\S+ (.*)\n", line)
        assert parts is not None
        # wandb keeps colours.
        uploaded["stderr" if parts[1] else "stdout"].append(re.sub(r"\x1b\[[0-9;]*m", "", parts[2]))
    read: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for text, stream, _ in recorded.run.console():
        read[stream].append(text)
    assert read["stdout"] == uploaded["stdout"]
    # Before the cursor first moves up, nothing tells that the line above will be written to again.
    assert read["stderr"] == ["outer 0", *uploaded["stderr"]]
    assert read["stderr"][-1] == "progress 99/99"


def test_times_of_console_lines_are_those_of_their_records(recorded: Recorded) -> None:
    pieces = recorded.records("output_raw")
    assert len(pieces) > 100
    raw = list(recorded.run.console(raw=True))
    assert [piece.text for piece in raw] == [piece.line for piece in pieces]
    assert [piece.stream for piece in raw] == ["stdout" if piece.output_type == 1 else "stderr" for piece in pieces]
    times = [piece.timestamp.ToDatetime().isoformat() + "+00:00" for piece in pieces]
    assert [piece.time and piece.time.isoformat() for piece in raw] == times
    last = next(line for line in recorded.run.console() if line.text == "progress 99/99")
    assert last.time == next(piece.time for piece in raw if piece.text == "\rprogress 99/99")


def test_facts_are_those_of_wandbs_records(recorded: Recorded) -> None:
    run = recorded.run
    (started,) = recorded.records("run")
    assert (run.state, run.exit_code) == ("failed", 3)
    assert run.wandb_version == "0.26.1"
    assert run.tags == ["a", "b"]
    assert run.created_at == started.start_time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")
    (ended,) = recorded.records("exit")
    last_row = list(run.scan_history())[-1]
    assert run.duration == max(ended.runtime, last_row["_runtime"])
    assert run.url.endswith("/e/p/runs/r1")
    assert run.lastHistoryStep == 3


def test_metadata_is_that_of_the_file_that_wandb_uploads(recorded: Recorded) -> None:
    uploaded = json.loads(recorded.upload.files["wandb-metadata.json"])
    metadata = recorded.run.metadata
    assert metadata is not None
    assert metadata == {name: uploaded[name] for name in metadata}
    assert metadata["program"].endswith("program.py")
    assert metadata["python"] == uploaded["python"]
    hidden = {"host", "username", "email", "root", "executable", "disk", "memory", "writer_id", "code_path_local"}
    assert uploaded.keys() - metadata.keys() <= hidden
    assert hidden.isdisjoint(metadata)


def test_axes_are_those_of_the_uploaded_config(recorded: Recorded) -> None:
    defined = recorded.upload.config["_wandb"]["value"]["m"]
    names = [metric["1"] for metric in defined]
    uploaded = {metric["1"]: names[metric["5"] - 1] for metric in defined if "5" in metric}
    uploaded |= {metric["1"]: metric["4"] for metric in defined if "4" in metric}
    assert uploaded == {"loss": "clock", "val/accuracy": "epoch"}
    assert recorded.run.axes == {**uploaded, "val/*": "epoch"}


def test_history_samples(recorded: Recorded) -> None:
    run = recorded.run
    rows = list(run.scan_history())
    assert canonical(run.history(pandas=False)) == canonical(rows)
    assert canonical(run.history(samples=2, pandas=False)) == canonical([rows[0], rows[-1]])
    sampled = run.history(samples=3, keys=["loss", "epoch"], x_axis="clock", pandas=False)
    assert [list(row) for row in sampled] == [["clock", "loss", "epoch"]] * 3
    frame: Any = run.history(keys=["loss"])
    assert list(frame.columns) == ["_step", "loss"]
    assert frame["loss"].tolist() == [row["loss"] for row in rows]
    events = list(run.system_metrics())
    for stream in ("system", "events"):
        assert canonical(run.history(stream=stream, pandas=False)) == canonical(events)
    for options in ({"samples": 0}, {"keys": "loss"}, {"stream": "other"}, {"stream": "system", "keys": ["loss"]}):
        with pytest.raises(ValueError, match=r"samples|keys|stream"):
            run.history(**options)


def lines_of(path: Path) -> list[tuple[str, str]]:
    return [(text, stream) for text, stream, _ in histscan.LogRun(path).console()]


def test_values_of_system_metrics_are_as_json_reads_them(tmp_path: Path) -> None:
    big = str(2**70)
    values = {"a": "NaN", "b": big, "c": "-Infinity", "d.e": '"text"', "f": "[1, null]", "a b": "1e400", "": "0"}
    path = write_run(
        tmp_path / "log.wandb",
        [wire.run_record("id", started=7), stats_record(values), stats_record(values, kind=1)],
        run=False,
    )
    rows = list(histscan.LogRun(path).system_metrics())
    expected = {f"system.{key}": json.loads(text) for key, text in values.items()}
    assert repr(rows) == repr([{**expected, "_wandb": True, "_timestamp": 10.0, "_runtime": 3.0}])


def test_metrics_without_times(tmp_path: Path) -> None:
    item = wire.field(3, wire.field(1, "a") + wire.field(16, "1"))
    path = write_run(tmp_path / "log.wandb", [wire.field(STATS, item), stats_record({"a": "2"})])
    rows = list(histscan.LogRun(path).system_metrics())
    assert rows == [{"system.a": 1, "_wandb": True}, {"system.a": 2, "_wandb": True, "_timestamp": 10.0}]


@pytest.mark.parametrize(
    "bad",
    [stats_record({"a": "1,2"}), stats_record({"a": ""}), wire.field(STATS, b"\xff"), wire.field(STATS, b"\x1a\x05ab")],
    ids=["two values", "no value", "no message", "cut message"],
)
def test_a_malformed_record_of_system_metrics_is_an_error_behind_the_rows_before(tmp_path: Path, bad: bytes) -> None:
    path = write_run(tmp_path / "log.wandb", [stats_record({"a": "1"}), bad, stats_record({"a": "3"})])
    scan = histscan.LogRun(path).system_metrics()
    assert next(scan)["system.a"] == 1
    for _ in range(2):
        with pytest.raises(HistoryDecodeError) as caught:
            next(scan)
        assert caught.value.run == str(path)
    with pytest.raises(HistoryDecodeError):
        histscan.LogRun(path).system_metrics().to_arrow()


def test_streams_of_a_corrupt_log(tmp_path: Path) -> None:
    parts = [[stats_record({"a": str(n)}), output_record(f"line {n}\n"), output_record("x" * 40_000)] for n in range(4)]
    log = bytearray(wire.write_log([record for part in parts for record in part]))
    log[wire.BLOCK_SIZE + 100] ^= 1
    path = tmp_path / "log.wandb"
    path.write_bytes(log)
    run = histscan.LogRun(path)
    assert run.state in ("running", "crashed")
    for stream in (run.system_metrics(), run.console()):
        with pytest.raises(LogFormatError) as caught:
            list(stream)
        assert caught.value.run == str(path)
    skipping = histscan.LogRun(path, on_corrupt="skip")
    with pytest.warns(histscan.LogCorruptWarning):
        rows = list(skipping.system_metrics())
    assert 0 < len(rows) < 4
    with pytest.warns(histscan.LogCorruptWarning):
        lines = [line.text for line in skipping.console()]
    assert lines[0] == "line 0"
    assert lines[-2].endswith("line 3")


def test_output_of_old_clients_and_of_both_streams_keeps_its_order(tmp_path: Path) -> None:
    records = [
        output_record("one\n", field=OUTPUT),
        output_record("two\n", stdout=False),
        output_record("three\n", field=OUTPUT),
        output_record("par", stdout=True),
        output_record("other\n", stdout=False),
        output_record("tial\n", stdout=True),
        output_record(b"not \xff UTF-8\n"),
    ]
    path = write_run(tmp_path / "log.wandb", records)
    assert lines_of(path) == [
        ("one", "stdout"),
        ("two", "stderr"),
        ("three", "stdout"),
        ("other", "stderr"),
        ("partial", "stdout"),
        ("not \ufffd UTF-8", "stdout"),
    ]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (["a\n\nb\n"], ["a", "", "b"]),
        (["\n"], [""]),
        ([""], []),
        (["a\x1b[", "3", "1mb\n"], ["ab"]),
        (["a\x1b]0;ti", "tle\x1b\\b\n"], ["ab"]),
        (["a\x1b"], ["a"]),
        (["a\x9b31mb\n"], ["a31mb"]),
        (["\x1b[999999999999C.\n"], [" " * 4096 + "."]),
        (["\x1b[4000Cx\n"], [" " * 4000 + "x"]),
        (["ab\x1b[Gc\n"], ["cb"]),
        (["one\ntwo\n\x1b[2Aup\n"], ["one", "two", "up"]),
        (["\x1b[A", "1\n2\n3\n", "\x1b[3A", "one\n", "\x1b[Btwo\n"], ["one", "2", "two"]),
        (["\x1b[A1\n2\n3\n\x1b[3A\x1b[J"], []),
        (["\x1b[A1\n2\n3\x1b[F\x1b[Kx\x1b[Ey\n"], ["1", "x", "y"]),
        (["a\x00b\x07c\x7f\n"], ["abc"]),
        (["\b\b\ba\n"], ["a"]),
    ],
)
def test_terminal_sequences(pieces: list[str], lines: list[str], tmp_path: Path) -> None:
    path = write_run(tmp_path / "log.wandb", [output_record(piece) for piece in pieces])
    assert lines_of(path) == [(line, "stdout") for line in lines]


def test_output_without_line_breaks_is_broken_up(tmp_path: Path) -> None:
    path = write_run(tmp_path / "log.wandb", [output_record("x" * 10_000) for _ in range(300)])
    lines = [text for text, _ in lines_of(path)]
    assert "".join(lines) == "x" * 3_000_000
    assert max(map(len, lines)) < 1_100_000


def write_many(path: Path, count: int) -> None:
    def records() -> Iterator[bytes]:
        for number in range(count):
            yield output_record(f"\rstep {number}" + ("\n" if number % 10 == 9 else ""))

    _write_in_blocks(path, records())


def _write_in_blocks(path: Path, records: Iterator[bytes]) -> None:
    """As `wire.write_log`, without copying the log for each record."""
    with path.open("wb") as file:
        log = wire.LOG_HEADER
        for record in records:
            log = wire.append_record(log, record)
            if len(log) >= 2 * wire.BLOCK_SIZE:
                file.write(log[: wire.BLOCK_SIZE])
                log = log[wire.BLOCK_SIZE :]
        file.write(log)


def test_output_streams(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "log.wandb"
    write_many(path, 60_000)
    assert path.stat().st_size > 1_500_000
    lines = iter(histscan.LogRun(path).console())
    tracemalloc.start()
    count = sum(1 for line in lines if line.text.startswith("step"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 6_000
    # One window's records at a time.
    assert peak < 8_000_000


def test_streams_of_a_resumed_run(tmp_path: Path) -> None:
    folders = [tmp_path / f"run-2026013{day}_120000-id" for day in (1, 2)]
    for place, folder in enumerate(folders):
        folder.mkdir()
        begun = 100 * (place + 1)
        ended = wire.field(18, wire.varint_field(1, 1 - place) + wire.varint_field(2, 10 + place))
        records = [
            wire.run_record("id", started=begun),
            stats_record({"cpu": str(place)}, begun + 5),
            output_record(f"part {place}"),
            ended,
        ]
        write_run(folder / "run-id.wandb", [*records[:2], metric(f"m{place}", "x"), *records[2:]], run=False)
    run = histscan.LogRun(folders)
    assert [row["system.cpu"] for row in run.system_metrics()] == [0, 1]
    assert [row["_runtime"] for row in run.system_metrics()] == [5.0, 5.0]
    assert [line.text for line in run.console(raw=True)] == ["part 0", "part 1"]
    # A later log does not continue a line that the log before has left open.
    assert [line.text for line in run.console()] == ["part 0", "part 1"]
    assert (run.state, run.exit_code, run.duration) == ("finished", 0, 11.0)
    assert run.axes == {"m0": "x", "m1": "x"}
    assert run.created_at == "1970-01-01T00:01:40Z"


def test_what_machine_and_user_are_called_is_no_metadata(tmp_path: Path) -> None:
    from wandb.proto import wandb_internal_pb2

    environment = wandb_internal_pb2.EnvironmentRecord(
        os="Linux",
        python="CPython 3.11.7",
        args=["--lr", "0.1"],
        program="train.py",
        code_path="src/train.py",
        code_path_local="/home/me/src/train.py",
        email="me@example.com",
        root="/home/me",
        host="secret-host",
        username="me",
        executable="/home/me/bin/python",
        cpu_count=4,
        cpu_count_logical=8,
        gpu_type="A100",
        gpu_count=2,
        cuda_version="12.4",
    )
    environment.git.remote_url = "https://example.com/repo.git"
    environment.git.commit = "0123456789abcdef"
    environment.started_at.FromJsonString("2026-01-31T12:00:00.250Z")
    record = wandb_internal_pb2.Record(environment=environment).SerializeToString()
    run = histscan.LogRun(write_run(tmp_path / "log.wandb", [record]))
    shown = MessageToDict(environment, preserving_proto_field_name=True)
    for name in ("code_path_local", "email", "root", "host", "username", "executable"):
        del shown[name]
    metadata = run.metadata
    assert metadata is not None
    assert metadata.pop("started_at") == "2026-01-31T12:00:00.250000Z"
    del shown["started_at"]
    assert metadata == shown


def test_metadata_of_old_clients_comes_from_the_file_beside_the_log(tmp_path: Path) -> None:
    path = write_run(tmp_path / "log.wandb", [])
    assert histscan.LogRun(path).metadata is None
    (tmp_path / "files").mkdir()
    file = tmp_path / "files" / "wandb-metadata.json"
    file.write_text(
        json.dumps(
            {
                "os": "Linux",
                "python": "3.8.10",
                "startedAt": "2023-05-02T14:21:57.123",
                "codePath": "train.py",
                "git": {"remote": "https://example.com/r", "commit": "abc"},
                "gpu": "V100",
                "gpu_count": 1,
                "host": "secret-host",
                "username": "me",
                "state": "running",
            }
        )
    )
    assert histscan.LogRun(path).metadata == {
        "os": "Linux",
        "python": "3.8.10",
        "started_at": "2023-05-02T14:21:57.123",
        "code_path": "train.py",
        "git": {"remote_url": "https://example.com/r", "commit": "abc"},
        "gpu_type": "V100",
        "gpu_count": 1,
    }
    for text in ("[]", "{", "[" * 100_000):
        file.write_text(text)
        assert histscan.LogRun(path).metadata is None


def test_axes_defined_several_times(tmp_path: Path) -> None:
    records = [
        metric("a", "x"),
        metric("a"),
        metric("b", "x"),
        metric("b", "y"),
        metric("c", "x"),
        metric("c", overwrite=True),
        metric("d/*", "x", glob=True),
        wire.field(METRIC, b"\xff"),
    ]
    assert histscan.LogRun(write_run(tmp_path / "log.wandb", records)).axes == {"a": "x", "b": "y", "d/*": "x"}
