"""Scans of `.wandb` files: which rows and keys they give, and what happens while the file changes."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan import HistoryDecodeError, HistoryError, LogCorruptWarning, LogFormatError, LogTruncatedWarning
from histscan.sources.files import WINDOW_SIZE
from tests.support import wire
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import step_rows, steps_of, write_run

Rows = list[dict[str, Any]]


def scan_rows(tmp_path: Path, rows: Sequence[Sequence[tuple[str | list[str], str]]], keys: list[str] | None) -> Rows:
    path = write_run(tmp_path / "run.wandb", [wire.history_record(row, step) for step, row in enumerate(rows)])
    return list(histscan.open(path).scan_history(keys=keys))


NESTED_ROWS: list[list[tuple[str | list[str], str]]] = [
    [(["_step"], "0"), (["loss"], "1"), (["val", "loss"], "2"), (["val", "acc", "top1"], "3"), (["a.b"], "4")],
    [(["_step"], "1"), (["loss"], "null"), (["val", "acc", "top1"], "NaN"), (["a", "b"], "5")],
    [(["_step"], "2"), (["val"], "6"), (["loss"], "7")],
    [(["loss"], "8"), (["_step"], "3"), ("val", '{"loss": 9, "acc": {"top1": 10}}')],
    [],
    [(["_step"], "5"), (["value"], "1"), (["va"], "1")],
]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["loss"], [{"loss": 1}, {"loss": None}, {"loss": 7}, {"loss": 8}]),
        (
            ["_step", "loss"],
            [{"_step": 0, "loss": 1}, {"_step": 1, "loss": None}, {"_step": 2, "loss": 7}, {"_step": 3, "loss": 8}],
        ),
        (
            ["loss", "_step", "loss"],
            [{"loss": 1, "_step": 0}, {"loss": None, "_step": 1}, {"loss": 7, "_step": 2}, {"loss": 8, "_step": 3}],
        ),
        (["val.loss"], [{"val.loss": 2}]),
        (["val.acc.top1"], [{"val.acc.top1": 3}, {"val.acc.top1": float("nan")}]),
        (["val.acc"], [{"val.acc": {"top1": 3}}, {"val.acc": {"top1": float("nan")}}]),
        (
            ["val"],
            [
                {"val": {"loss": 2, "acc": {"top1": 3}}},
                {"val": {"acc": {"top1": float("nan")}}},
                {"val": 6},
                {"val": {"loss": 9, "acc": {"top1": 10}}},
            ],
        ),
        (["val.loss", "val.acc"], [{"val.loss": 2, "val.acc": {"top1": 3}}]),
        (["a.b"], [{"a.b": 4}, {"a.b": 5}]),
        (["va"], [{"va": 1}]),
        (["value", "missing"], []),
        (["missing"], []),
        (["val.missing"], []),
        ([""], []),
    ],
    ids=str,
)
def test_keys(tmp_path: Path, keys: list[str], expected: Rows) -> None:
    """Rows that have all of the keys, in the order of the keys; dots lead into nested values."""
    assert fingerprint(scan_rows(tmp_path, NESTED_ROWS, keys)) == fingerprint(expected)


def test_keys_that_overlap(tmp_path: Path) -> None:
    """Each key means what it means alone."""
    rows = scan_rows(tmp_path, NESTED_ROWS, ["val", "val.loss"])
    assert fingerprint(rows) == fingerprint([{"val": {"loss": 2, "acc": {"top1": 3}}, "val.loss": 2}])


def test_no_keys_mean_all_of_them(tmp_path: Path) -> None:
    everything = scan_rows(tmp_path, NESTED_ROWS, None)
    assert len(everything) == len(NESTED_ROWS)
    assert fingerprint(scan_rows(tmp_path, NESTED_ROWS, [])) == fingerprint(everything)


@pytest.mark.parametrize("keys", ["loss", [1], ["loss", None], [b"loss"]], ids=repr)
def test_wrong_keys(tmp_path: Path, keys: Any) -> None:
    with pytest.raises(ValueError, match="list of strings"):
        histscan.open(write_run(tmp_path / "run.wandb", [])).scan_history(keys=keys)


@pytest.mark.parametrize(
    ("first", "stop"),
    [(0, None), (0, 10), (5, 9), (29, 101), (31, 100), (100, None), (129, None), (130, None), (9, 4), (0, 0)],
)
@pytest.mark.parametrize("keys", [None, ["_step"]])
def test_steps(tmp_path: Path, first: int, stop: int | None, keys: list[str] | None) -> None:
    steps = [*range(30), *range(100, 130)]
    run = histscan.open(write_run(tmp_path / "run.wandb", step_rows(steps)))
    last = 2**62 if stop is None else stop
    wanted = [step for step in steps if first <= step < last]
    assert steps_of(run.scan_history(keys=keys, min_step=first, max_step=stop)) == wanted


def test_steps_across_windows(tmp_path: Path) -> None:
    steps = [*range(0, 300, 3), *range(1_000, 1_200)]
    run = histscan.open(write_run(tmp_path / "run.wandb", step_rows(steps, size=20_000)))
    assert run.file.stat().st_size > 5 * WINDOW_SIZE
    assert run.lastHistoryStep == 1_199
    for first, stop in ((0, None), (100, 1_100), (298, 1_000), (297, 298), (0, 1), (1_199, None), (2_000, None)):
        scan = run.scan_history(min_step=first, max_step=stop)
        assert steps_of(scan) == [step for step in steps if first <= step < (stop or 2**62)]
    early = run.scan_history(max_step=3)
    assert steps_of(early) == [0]
    assert early.bytes_read <= 2 * WINDOW_SIZE


def test_a_log_that_is_still_being_written(tmp_path: Path) -> None:
    """Every look sees what is there; a new one sees more."""
    whole = wire.write_log(
        [wire.run_record("id"), *step_rows(range(10), size=9_000), wire.update_record(wire.SUMMARY, [("x", "1")])]
    )
    path = tmp_path / "run.wandb"
    path.write_bytes(whole[:20_000])
    run = histscan.open(path)
    scan = run.scan_history()
    with pytest.warns(LogTruncatedWarning, match="ends within a record") as caught:
        assert steps_of(scan) == [0, 1]
    assert str(path) in str(caught[0].message)
    assert (run.lastHistoryStep, run.summary) == (1, {})
    path.write_bytes(whole[:60_000])
    with pytest.warns(LogTruncatedWarning):
        assert steps_of(scan) == [0, 1, 2, 3, 4, 5]
    assert run.lastHistoryStep == 5
    path.write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert steps_of(scan) == list(range(10))
        assert steps_of(run.scan_history()) == list(range(10))
        assert (run.lastHistoryStep, run.summary) == (9, {"x": 1})


def test_a_log_that_grows_while_it_is_read(tmp_path: Path) -> None:
    records = [wire.run_record("id"), *step_rows(range(400), size=9_000)]
    whole = wire.write_log(records)
    assert len(whole) > 3 * WINDOW_SIZE
    path = tmp_path / "run.wandb"
    path.write_bytes(whole[: WINDOW_SIZE + 5_000])
    scan = histscan.open(path).scan_history()
    rows = [next(scan) for _ in range(50)]
    path.write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LogTruncatedWarning)
        rows += list_rest(scan)
    assert steps_of(rows) == list(range(len(rows)))
    assert steps_of(scan) == list(range(400))


def list_rest(scan: Iterator[dict[str, Any]]) -> Rows:
    """The rows that are left, without starting over."""
    rows = []
    while (row := next(scan, None)) is not None:
        rows.append(row)
    return rows


def test_a_log_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    """No signal, no wrong row: the file is not mapped. And no end that looks like the end of the run."""
    path = write_run(tmp_path / "run.wandb", step_rows(range(400), size=9_000))
    scan = histscan.open(path).scan_history()
    next(scan)
    with path.open("r+b") as file:
        file.truncate(100)
    rest: list[int] = []
    with pytest.raises(HistoryError, match=r"the file became shorter while it was read, from \d+ to 100 bytes"):
        rest.extend(iter(lambda: next(scan)["_step"], None))
    assert rest == list(range(1, len(rest) + 1))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        next(iter(scan))


def corrupted(path: Path, position: int) -> None:
    """Changes a byte of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("keys", [None, ["_step"]])
def test_a_corrupt_log(tmp_path: Path, keys: list[str] | None) -> None:
    path = write_run(tmp_path / "run.wandb", step_rows(range(20), size=9_000))
    # In the text of the eleventh row.
    log = path.read_bytes()
    at = log.index(b"k" * 100)
    corrupted(path, at)
    run = histscan.open(path)
    for _ in range(2):
        scan = run.scan_history(keys=keys)
        rows: Rows = []
        with pytest.raises(LogFormatError, match=r"run\.wandb.*byte \d+") as caught:
            rows.extend(scan)
        assert caught.value.run == str(path)
        assert caught.value.byte is not None
        assert log[caught.value.byte + 6] in (wire.FULL, wire.FIRST)
        assert caught.value.byte < at < caught.value.byte + 9_200
        assert steps_of(rows) == list(range(10))
    skipping = histscan.open(path, on_corrupt="skip")
    with pytest.warns(LogCorruptWarning, match=f"1 corrupt part.*{caught.value.byte}"):
        rest = steps_of(skipping.scan_history(keys=keys))
    assert rest[:10] == list(range(10))
    assert rest[-1] == 19
    assert len(rest) < 20
    assert rest == sorted(set(rest))
    assert (skipping.id, skipping.lastHistoryStep) == ("id", 19)
    # What can be said of a corrupt run is said of what comes before.
    assert run.lastHistoryStep == 9


def test_a_malformed_row_in_a_sound_log(tmp_path: Path) -> None:
    records = step_rows(range(5))
    records[3] = wire.history_record([(["_step"], "3"), (["val", "loss"], "[1, oops]")], 3)
    path = write_run(tmp_path / "run.wandb", records)
    run = histscan.open(path)
    for keys in (None, ["_step", "val.loss"]):
        scan = run.scan_history(keys=keys)
        with pytest.raises(
            HistoryDecodeError, match=r"run\.wandb, row \d, byte \d+\), at|at `\$\.val\.loss\[1\]`"
        ) as caught:
            list(scan)
        assert (caught.value.run, caught.value.path) == (str(path), "$.val.loss[1]")
        assert caught.value.byte == path.read_bytes().index(b"oops")
    assert steps_of(run.scan_history(keys=["_step"])) == list(range(5))
    assert run.lastHistoryStep == 4


def test_warnings_made_errors_come_behind_the_rows(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.wandb", step_rows(range(3), size=50))
    path.write_bytes(path.read_bytes()[:-3])
    scan = histscan.open(path).scan_history()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [next(scan)["_step"], next(scan)["_step"]] == [0, 1]
        with pytest.raises(LogTruncatedWarning):
            next(scan)
        with pytest.raises(StopIteration):
            next(scan)


def test_threads_share_a_scan(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.wandb", step_rows(range(3_000), size=2_000))
    scan = histscan.open(path).scan_history()
    taken: list[list[int]] = [[] for _ in range(4)]
    failures: list[BaseException] = []

    def take(steps: list[int]) -> None:
        try:
            while (row := next(scan, None)) is not None:
                steps.append(row["_step"])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take, args=(steps,)) for steps in taken]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert sorted(step for steps in taken for step in steps) == list(range(3_000))
    assert all(steps == sorted(steps) for steps in taken)


def test_attributes_before_the_first_row(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.wandb", step_rows(range(30)))
    scan = histscan.open(path).scan_history(keys=["_step"], min_step=2, max_step=11)
    assert (scan.rows, scan.min_step, scan.max_step, scan.keys, scan.path) == ([], 2, 10, ["_step"], path)
    assert (scan.size, scan.bytes_read) == (path.stat().st_size, 0)
    assert next(scan) == {"_step": 2}
    assert scan.rows == [{"_step": step} for step in range(2, 11)]
    assert scan.bytes_read == scan.size
