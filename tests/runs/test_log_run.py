"""Runs opened from `.wandb` files: finding them, what they say of themselves, and that they stay as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan import HistoryError, LogFormatError, LogTruncatedWarning
from histscan._core.pages.log_reader import BLOCK_SIZE
from histscan.sources.files import read_windows
from tests.support import log_oracle, wire
from tests.support.json_corpus import fingerprint
from tests.support.log_oracle import same_values
from tests.support.log_samples import step_rows, steps_of, write_run
from tests.support.recording import record_run

Rows = list[dict[str, Any]]

LOGGED: list[dict[str, Any]] = [
    {
        "loss": 1 / (step + 1),
        "nan": float("nan") if step % 3 else -float("inf"),
        "validation": {"loss": step / 10, "accuracy": {"top1": step, "top.5": -step}},
        "text": f'é "{step}"\n',
        **({"sparse": step} if step % 4 == 0 else {}),
        **({"_step": 100} if step == 30 else {}),
    }
    for step in range(60)
]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log by the real client."""
    return record_run(
        tmp_path_factory.mktemp("recording"),
        LOGGED,
        run_id="r1",
        entity="team",
        project="vision",
        name="a fine run",
        config={"lr": 0.1, "layers": [3, 4]},
        summary={"best": 0.5},
        settings={"run_group": "group", "run_job_type": "train", "run_notes": "notes", "run_tags": ["a", "b"]},
    )


def logged_rows() -> Rows:
    """The rows as they were logged, each with its step."""
    rows: Rows = []
    for row in LOGGED:
        rows.append({**row, "_step": row.get("_step", rows[-1]["_step"] + 1 if rows else 0)})
    return rows


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the times of its recording, its keys sorted: the client writes them in random order."""
    assert {"_runtime", "_timestamp"} <= row.keys()
    return {key: row[key] for key in sorted(row) if key not in ("_runtime", "_timestamp")}


def test_what_a_run_says_of_itself(recording: Path) -> None:
    run = histscan.open(recording)
    assert (run.entity, run.project, run.id, run.name) == ("team", "vision", "r1", "a fine run")
    assert (run.group, run.job_type, run.notes, run.tags) == ("group", "train", "notes", ["a", "b"])
    assert run.path == ["team", "vision", "r1"]
    assert run.file == recording
    assert run.config == {"lr": 0.1, "layers": [3, 4]}
    assert run.summary["best"] == 0.5
    assert run.summary["loss"] == LOGGED[-1]["loss"]
    assert run.summary["validation"] == LOGGED[-1]["validation"]
    assert run.lastHistoryStep == 129
    assert repr(run) == f"<LogRun team/vision/r1 in {str(recording)!r}>"


def test_rows_are_those_that_were_logged(recording: Path) -> None:
    run = histscan.open(recording)
    rows = list(run.scan_history())
    assert same_values([without_times(row) for row in rows], logged_rows())
    assert fingerprint(rows) == fingerprint(log_oracle.rows_by_wandb(recording.read_bytes()))
    scan = run.scan_history(page_size=7)
    assert fingerprint(list(scan)) == fingerprint(rows)
    assert scan.bytes_read == scan.size == recording.stat().st_size
    assert fingerprint(list(scan)) == fingerprint(rows)


def test_keys_of_a_recording(recording: Path) -> None:
    run = histscan.open(recording)
    rows = logged_rows()
    for keys in (
        ["loss"],
        ["sparse", "_step"],
        ["validation.accuracy.top.5"],
        ["validation.loss", "sparse"],
        ["nan", "text"],
    ):
        expected = []
        for row in rows:
            flat = {
                **row,
                "validation.loss": row["validation"]["loss"],
                "validation.accuracy.top.5": row["validation"]["accuracy"]["top.5"],
            }
            if all(key in flat for key in keys):
                expected.append({key: flat[key] for key in keys})
        scanned = list(run.scan_history(keys=keys))
        assert same_values(scanned, expected)
        assert all(list(row) == keys for row in scanned)


def test_a_folder_means_the_run_in_it(recording: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "wandb" / "offline-run-20260131_120000-r1"
    run_folder.mkdir(parents=True)
    log = shutil.copy(recording, run_folder / "run-r1.wandb")
    (tmp_path / "wandb" / "latest-run").symlink_to(run_folder)
    for path in (run_folder, str(run_folder), tmp_path / "wandb", tmp_path / "wandb" / "latest-run", os.fspath(log)):
        assert histscan.open(path).id == "r1"
    other = tmp_path / "wandb" / "offline-run-20260131_130000-r2"
    other.mkdir()
    write_run(other / "run-r2.wandb", step_rows([1]))
    with pytest.raises(HistoryError, match=r"holds 2 different runs.*r1.*r2.*pass the path of one run") as caught:
        histscan.open(tmp_path / "wandb")
    assert not isinstance(caught.value, LogFormatError)
    assert histscan.open(other).lastHistoryStep == 1


def test_paths_that_hold_no_log(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.wandb", tmp_path / "missing" / "folder"):
        with pytest.raises(FileNotFoundError):
            histscan.open(path)
    with pytest.raises(ValueError, match="on_corrupt"):
        histscan.open(tmp_path, on_corrupt="ignore")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b":W&B", "header"),
        (b"\x00" * 100, "header"),
        (b"SQLite format 3\x00" * 100, "header"),
        (b'{"_step": 1}\n', "header"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("on_corrupt", ["raise", "skip"])
def test_files_that_are_no_logs(tmp_path: Path, content: bytes, words: str, on_corrupt: str) -> None:
    path = tmp_path / "run.wandb"
    path.write_bytes(content)
    with pytest.raises(LogFormatError, match=words) as caught:
        histscan.open(path, on_corrupt=on_corrupt)
    assert (caught.value.byte, caught.value.run) == (0, str(path))


@pytest.mark.parametrize("version", [1, 2, 255])
def test_a_newer_log_format_is_named(tmp_path: Path, version: int) -> None:
    path = tmp_path / "run.wandb"
    path.write_bytes(b":W&B\xe1\xbe" + bytes([version]) + wire.write_log(step_rows(range(3)))[7:])
    with pytest.raises(
        LogFormatError, match=f"log format version {version} is newer than this histscan reads"
    ) as caught:
        histscan.open(path)
    assert (caught.value.byte, caught.value.run) == (6, str(path))


def test_a_log_that_has_only_begun(tmp_path: Path) -> None:
    path = tmp_path / "run.wandb"
    path.write_bytes(wire.LOG_HEADER)
    run = histscan.open(path)
    assert (run.id, run.entity, run.config, run.summary, run.lastHistoryStep) == ("", "", {}, {}, -1)
    with pytest.warns(LogTruncatedWarning, match="no records yet"):
        assert list(run.scan_history()) == []


def test_a_run_without_history(tmp_path: Path) -> None:
    run = histscan.open(write_run(tmp_path / "run.wandb", []))
    assert (run.id, run.lastHistoryStep, list(run.scan_history())) == ("id", -1, [])
    nameless = histscan.open(write_run(tmp_path / "nameless.wandb", step_rows([4]), run=False))
    assert (nameless.id, nameless.lastHistoryStep, steps_of(nameless.scan_history())) == ("", 4, [4])


@contextmanager
def unprivileged() -> Iterator[None]:
    """Gives up root's right to write to files that are not to be written to."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_read_only_files(recording: Path) -> None:
    rows = list(histscan.open(recording).scan_history())
    # The test's own folder may be closed to other users.
    folder = Path(tempfile.mkdtemp())
    try:
        path = Path(shutil.copy(recording, folder / "run.wandb"))
        path.chmod(0o444)
        folder.chmod(0o555)
        with unprivileged():
            with pytest.raises(PermissionError):
                path.open("r+b")
            run = histscan.open(folder)
            assert fingerprint(list(run.scan_history())) == fingerprint(rows)
            assert run.lastHistoryStep == 129
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_files_that_may_not_be_read() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        path = write_run(folder / "run.wandb", step_rows([1]))
        path.chmod(0o000)
        with unprivileged(), pytest.raises(PermissionError):
            histscan.open(path)
    finally:
        shutil.rmtree(folder)


def test_a_file_is_left_as_it_was(recording: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(recording, tmp_path / "run.wandb"))
    os.utime(path, ns=(10**18, 10**18))
    content = path.read_bytes()
    run = histscan.open(path)
    assert len(list(run.scan_history())) == len(LOGGED)
    assert run.summary["best"] == 0.5
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == 10**18
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_left_open(recording: Path, tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("tells open files by /proc")

    def open_files() -> list[str]:
        return [os.readlink(link) for link in descriptors.iterdir() if link.exists()]

    path = Path(shutil.copy(recording, tmp_path / "run.wandb"))
    run = histscan.open(path)
    assert len(list(run.scan_history())) == len(LOGGED)
    assert run.lastHistoryStep == 129
    next(run.scan_history())
    assert str(path) not in open_files()


def test_windows(tmp_path: Path) -> None:
    path = tmp_path / "data"
    for size in (0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE):
        data = os.urandom(size)
        path.write_bytes(data)
        windows = list(read_windows(path, window_size=BLOCK_SIZE))
        assert b"".join(window for window, _ in windows) == data
        assert [is_last for _, is_last in windows] == [False] * (len(windows) - 1) + [True]
        assert all(len(window) == BLOCK_SIZE for window, _ in windows[:-1])
        assert len(windows[-1][0]) < BLOCK_SIZE


def test_needs_neither_wandb_nor_a_network_library(recording: Path) -> None:
    program = textwrap.dedent("""
        import sys
        for name in ("wandb", "gql", "requests", "graphql", "numpy"):
            sys.modules[name] = None
        import histscan
        run = histscan.open(sys.argv[1])
        print(len(list(run.scan_history())), run.config["lr"], run.lastHistoryStep)
    """)
    finished = subprocess.run(
        [sys.executable, "-c", program, str(recording)], capture_output=True, text=True, check=False, timeout=60
    )
    assert finished.stdout.split() == ["60", "0.1", "129"], finished.stderr
