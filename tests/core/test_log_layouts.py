"""Logs in other layouts: blocks counted from behind the header, and compressed files."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import pytest

import histscan
from histscan import LogFormatError, LogTruncatedWarning
from histscan._core.pages.log_reader import LogReader
from tests.support import wire
from tests.support.compressed_files import zstd_compress
from tests.support.json_corpus import fingerprint
from tests.support.log_samples import read_log, step_rows, steps_of

HEADER = len(wire.LOG_HEADER)


@pytest.mark.parametrize("blocks", [1, 2, 3, 100])
@pytest.mark.parametrize("size", [10, 500, 9_000, 32_700, 100_000])
def test_blocks_behind_the_header(size: int, blocks: int) -> None:
    records = step_rows(range(max(4, 200_000 // size)), size=size)
    log = wire.shift_blocks(records)
    assert log != wire.write_log(records)
    reading = read_log(log, blocks=blocks)
    assert (reading.error, reading.reader.truncated_at, reading.reader.corrupt_at) == (None, None, [])
    assert fingerprint(reading.rows) == fingerprint(read_log(wire.write_log(records)).rows)
    assert reading.reader.offset == len(log)


@pytest.mark.parametrize("left", range(16))
def test_one_block_that_ends_between_the_two_borders(left: int) -> None:
    """A log of one block has no second one whose checksum could tell."""
    first = step_rows([0], size=100)[0]
    room = wire.BLOCK_SIZE - left - len(wire.chunk(wire.FULL, first)) - wire.CHUNK_HEADER_SIZE
    last = next(
        record for size in range(room - 60, room) for record in step_rows([1], size=size) if len(record) == room
    )
    log = wire.shift_blocks([first, last])
    assert len(log) == HEADER + wire.BLOCK_SIZE - left
    reading = read_log(log, blocks=4)
    assert (reading.error, steps_of(reading.rows), reading.reader.truncated_at) == (None, [0, 1], None)


def test_damage_in_the_first_block_does_not_hide_the_layout() -> None:
    records = step_rows(range(40), size=5_000)
    log = bytearray(wire.shift_blocks(records))
    log[200] ^= 0xFF
    reading = read_log(bytes(log), blocks=4, skip_corrupt=True)
    assert reading.error is None
    assert steps_of(reading.rows) == list(range(6, 40)) or steps_of(reading.rows) == list(range(7, 40))
    assert reading.reader.corrupt_at == [HEADER]


@pytest.mark.parametrize("cut", [1, 8, 5_000, 40_000, 70_000])
def test_a_shifted_log_that_is_cut_short(cut: int) -> None:
    records = step_rows(range(40), size=5_000)
    log = wire.shift_blocks(records)[:-cut]
    for blocks in (1, 4, 100):
        reading = read_log(log, blocks=blocks)
        assert reading.error is None
        assert steps_of(reading.rows) == list(range(len(reading.rows)))
        assert reading.reader.truncated_at is not None
        assert len(reading.rows) >= 40 - 1 - cut // 5_000 - 1


def test_shifted_logs_of_runs(tmp_path: Path) -> None:
    path = tmp_path / "run.wandb"
    path.write_bytes(wire.shift_blocks([wire.run_record("old"), *step_rows(range(3_000), size=1_000)]))
    run = histscan.open(path)
    assert (run.id, run.lastHistoryStep) == ("old", 2_999)
    assert steps_of(run.scan_history(min_step=1_000)) == list(range(1_000, 3_000))
    assert run.to_arrow(["_step"]).num_rows == 3_000


def compress(log: bytes, kind: str) -> bytes:
    if kind == "gz":
        return gzip.compress(log)
    return zstd_compress(log)


@pytest.fixture(params=["gz", "zst"])
def compressed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    log = wire.write_log([wire.run_record("packed"), *step_rows(range(300), size=9_000)])
    folder = tmp_path / "offline-run-20260131_120000-packed"
    folder.mkdir()
    path = folder / f"run-packed.wandb.{request.param}"
    path.write_bytes(compress(log, request.param))
    return path


def test_compressed_logs(compressed: Path) -> None:
    for path in (compressed, compressed.parent, compressed.parent.parent):
        run = histscan.open(path)
        assert (run.id, run.lastHistoryStep) == ("packed", 299)
        scan = run.scan_history()
        for _ in range(2):
            assert steps_of(scan) == list(range(300))
        assert scan.bytes_read == scan.size == compressed.stat().st_size
        assert [len(batch) for batch in run.batches(["_step"], rows=200)] == [200, 100]


def test_names_do_not_matter_but_contents(compressed: Path, tmp_path: Path) -> None:
    other = tmp_path / "renamed.wandb"
    other.write_bytes(compressed.read_bytes())
    assert histscan.open(other).lastHistoryStep == 299


def test_compressed_data_that_end_early(compressed: Path) -> None:
    whole = compressed.read_bytes()
    compressed.write_bytes(whole[: len(whole) // 2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = list(histscan.open(compressed).scan_history())
    assert steps_of(rows) == list(range(len(rows)))
    assert 0 < len(rows) < 300
    assert any("end early" in str(one.message) for one in caught if one.category is LogTruncatedWarning)


def test_corrupt_compressed_data_are_an_error_after_the_rows_before(tmp_path: Path) -> None:
    log = wire.write_log([wire.run_record("packed"), *step_rows(range(300), size=9_000)])
    packed = bytearray(gzip.compress(log))
    packed[-6] ^= 0xFF  # the checksum, behind all data
    path = tmp_path / "run.wandb.gz"
    path.write_bytes(packed)
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(bytes(packed))
    scan = histscan.open(path).scan_history()
    assert [next(scan)["_step"] for _ in range(300)] == list(range(300))
    for _ in range(2):
        with pytest.raises(LogFormatError, match="gzip data are damaged") as caught:
            next(scan)
    assert caught.value.run == str(path)


def test_several_compressed_parts_are_one_file(tmp_path: Path) -> None:
    log = wire.write_log(step_rows(range(50), size=2_000))
    path = tmp_path / "run.wandb.gz"
    path.write_bytes(gzip.compress(log[:40_000]) + gzip.compress(log[40_000:]))
    assert steps_of(histscan.open(path).scan_history()) == list(range(50))


@pytest.mark.parametrize("shift", [0, HEADER])
@pytest.mark.parametrize("size", [10, 9_000, 32_700, 100_000])
def test_reading_goes_on_at_any_block(size: int, shift: int) -> None:
    records = step_rows(range(400_000 // (size + 100)), size=size)
    log, begins = wire.LOG_HEADER, []
    body = b"" if shift else log
    for record in records:
        left = wire.BLOCK_SIZE - len(body) % wire.BLOCK_SIZE
        begins.append(shift + len(body) + (left if left < wire.CHUNK_HEADER_SIZE else 0))
        body = wire.append_record(body, record)
    log = log + body if shift else body
    for begin in range(2 * wire.BLOCK_SIZE + shift, len(log), wire.BLOCK_SIZE):
        reader = LogReader()
        reader.read_window(log[: 2 * wire.BLOCK_SIZE], False)
        assert reader.block_shift == shift
        reader.skip_to(begin)
        page = reader.read_window(log[begin:], True)
        assert [row["_step"] for row in page.rows()] == [step for step, place in enumerate(begins) if place >= begin]
        assert (reader.truncated_at, reader.offset) == (None, len(log))


def test_reading_goes_on_at_blocks_alone() -> None:
    log = wire.write_log(step_rows(range(100), size=1_000))
    new, reader = LogReader(), LogReader()
    reader.read_window(log[: 2 * wire.BLOCK_SIZE], False)
    for wrong in (new, reader):
        for offset in (-1, 0, wire.BLOCK_SIZE, 2 * wire.BLOCK_SIZE + 7):
            with pytest.raises(ValueError, match="no block"):
                wrong.skip_to(offset)
    reader.skip_to(2 * wire.BLOCK_SIZE)
    reader.read_window(log[2 * wire.BLOCK_SIZE :], True)
    with pytest.raises(ValueError, match="no block"):
        reader.skip_to(4 * wire.BLOCK_SIZE)
