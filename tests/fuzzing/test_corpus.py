"""Every stored input, and every input that failed once, through the oracles of the fuzzing targets."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.builds import compile_program
from fuzz.oracles.logs import repair
from fuzz.run_inputs import inputs_of, run_inputs
from fuzz.targets import CORPUS, FINDINGS, FOLDER, HEADER_TARGETS, ORACLE_TARGETS
from tests.support import wire
from tests.support.log_samples import read_log, step_rows
from tests.support.paths import ROOT


@pytest.mark.parametrize("name", ORACLE_TARGETS)
def test_inputs(name: str) -> None:
    run_inputs(name)


@pytest.mark.parametrize("baseline", ["AVX2", "1"])
def test_inputs_on_processors_with_shorter_vectors(baseline: str) -> None:
    command = [sys.executable, "-m", "fuzz.run_inputs"]
    environment = {**os.environ, "HISTSCAN_BASELINE": baseline}
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]


@pytest.mark.parametrize("name", ORACLE_TARGETS)
def test_stored_inputs_reach_comparisons(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing were equal to anything, some of them would fail."""
    module = importlib.import_module(f"fuzz.oracles.{ORACLE_TARGETS[name].module}")
    monkeypatch.setattr(module, "fingerprint", lambda value: object(), raising=False)
    monkeypatch.setattr("fuzz.oracles.texts.fingerprint", lambda value: object())
    monkeypatch.setattr("fuzz.oracles.histories.fingerprint", lambda value: object())
    monkeypatch.setattr("tests.support.column_rows.fingerprint", lambda value: object())
    failed = 0
    for path in inputs_of(name, tmp_path):
        try:
            module.check(path.read_bytes())
        except AssertionError:
            failed += 1
    assert failed > 5


@pytest.mark.parametrize("name", HEADER_TARGETS)
def test_stored_inputs_of_headers(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    flags = ("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror")
    compile_program(HEADER_TARGETS[name], program, flags, FOLDER / "headers" / "replay.cc")
    (tmp_path / "inputs").mkdir()
    paths = [*inputs_of(name, tmp_path / "inputs")]
    assert len(paths) > 10
    ran = subprocess.run([program, *paths], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout.splitlines()[-1]}: {ran.stderr}"


def test_repaired_logs_have_right_checksums() -> None:
    log = bytearray(wire.write_log(step_rows(range(5), size=9_000)))
    expected = read_log(bytes(log)).rows
    # A text in each of two blocks, a checksum, and a letter of the header.
    for place in (wire.BLOCK_SIZE - 100, wire.BLOCK_SIZE + 100, 9, 3):
        log[place] ^= 0x02
        damaged = repair(bytes(log))
        assert len(read_log(damaged).rows) == len(expected)
        assert (damaged == bytes(log)) is False


def test_repaired_logs_of_any_bytes_are_logs() -> None:
    for length in (0, 7, 8, 13, 14, 15, 40, wire.BLOCK_SIZE + 3):
        assert repair(bytes(range(1, 256)) * 200)[:7] == wire.LOG_HEADER
        repaired = repair((bytes(range(1, 256)) * 200)[:length])
        assert repair(repaired) == repaired


def test_stored_inputs_are_few() -> None:
    paths = [path for folder in (CORPUS, FINDINGS) for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in paths) < 1_000_000
