"""Records whose checksum holds and whose content does not: ``on_corrupt="skip"`` goes on behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

import histscan
from histscan.cli.main import main
from histscan.errors import HistoryDecodeError, LogCorruptWarning
from tests.support import wire
from tests.support.log_samples import step_rows, steps_of, write_run

MALFORMED = {
    "value": wire.history_record([(["_step"], "7"), (["a"], "{bad")], 7),
    "key": wire.history_record([(["_step"], "7"), (["a", b"\xff".decode("latin-1")], '"\\x"')], 7),
    "message": wire.field(2, b"\x0a\x7f\x01"),
    "step": wire.history_record([(["_step"], "7x")], 7),
    "depth": wire.history_record([(["_step"], "7"), (["a"], "[" * 200_000 + "]" * 200_000)], 7),
    "several chunks": wire.history_record([(["_step"], "7"), (["a"], '"' + "x" * 100_000)], 7),
}
# Small rows share a window with the malformed record; large ones are in other blocks and windows.
SIZES = [10, 40_000]


def log_with(path: Path, records: list[bytes], size: int) -> tuple[Path, list[int]]:
    """Writes a log with malformed records among its rows. Returns it with the steps of its rows."""
    before, after = step_rows(range(10), size=size), step_rows(range(20, 30), size=size)
    rows = [*before, *records, *after]
    return write_run(path, rows), [*range(10), *range(20, 30)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", MALFORMED)
def test_rows_around_it_are_delivered(tmp_path: Path, kind: str, size: int) -> None:
    path, steps = log_with(tmp_path / "run.wandb", [MALFORMED[kind]], size)
    with pytest.raises(HistoryDecodeError) as failure:
        list(histscan.open(path).scan_history())
    skipping = histscan.open(path, on_corrupt="skip")
    with pytest.warns(LogCorruptWarning, match=r"1 corrupt part was skipped \(at byte (\d+)\)") as warned:
        rows = list(skipping.scan_history())
    assert steps_of(rows) == steps
    whole, _ = log_with(tmp_path / "whole.wandb", [], size)
    assert rows == list(histscan.open(whole).scan_history())
    (said,) = [str(warning.message) for warning in warned if warning.category is LogCorruptWarning]
    assert f"(at byte {failure.value.byte})" in said


@pytest.mark.parametrize("kind", MALFORMED)
def test_columns_batches_and_selections(tmp_path: Path, kind: str) -> None:
    path, steps = log_with(tmp_path / "run.wandb", [MALFORMED[kind]], 30_000)
    run = histscan.open(path, on_corrupt="skip")
    with pytest.warns(LogCorruptWarning, match="1 corrupt part"):
        assert run.to_arrow()["_step"].to_pylist() == steps
    with pytest.warns(LogCorruptWarning, match="1 corrupt part"):
        assert [step for batch in run.batches(rows=4) for step in batch["_step"].to_pylist()] == steps
    with pytest.warns(LogCorruptWarning, match="1 corrupt part"):
        assert len(list(run.scan_history(keys=["text"]))) == len(steps)
    with pytest.warns(LogCorruptWarning, match="1 corrupt part"):
        assert steps_of(run.scan_history(min_step=5, max_step=25)) == [*range(5, 10), *range(20, 25)]


def test_many_of_them_and_damaged_chunks(tmp_path: Path) -> None:
    path, steps = log_with(tmp_path / "run.wandb", [MALFORMED["value"], MALFORMED["message"]] * 3, 40_000)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.warns(LogCorruptWarning, match=r"7 corrupt parts were skipped \(at byte (\d+, ){5}…\)") as warned:
        assert steps_of(histscan.open(path, on_corrupt="skip").scan_history()) == steps[:-1]
    places = [int(place) for place in str(warned[0].message).split("at byte ")[1].split(", …")[0].split(", ")]
    assert places == sorted(places)


def test_step_of_an_earlier_log_stays(tmp_path: Path) -> None:
    """A row that is skipped replaces no row of the log before."""
    first = write_run(tmp_path / "run-20260101_000000-id.wandb", step_rows(range(10)))
    second = write_run(tmp_path / "run-20260102_000000-id.wandb", [MALFORMED["value"], *step_rows(range(8, 12))])
    run = histscan.open([first, second], on_corrupt="skip")
    with pytest.warns(UserWarning, match=r"1 corrupt part|logged again"):
        assert steps_of(run.scan_history()) == list(range(12))


def test_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = log_with(tmp_path / "run.wandb", [MALFORMED["value"]], 10)
    goal = str(tmp_path / "out.jsonl")
    assert main(["export", str(path), "-o", goal]) == 1
    assert main(["export", str(path), "-o", goal, "--skip-corrupt"]) == 0
    assert "1 corrupt part was skipped" in capsys.readouterr().err
    assert len(Path(goal).read_text().splitlines()) == 20
