"""Every stored input, and every input that failed once, through the oracles of the fuzzing targets."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

import pytest

from fuzz.builds import compile_program
from fuzz.oracles.logs import repair
from fuzz.seeds import write_seeds
from fuzz.targets import CORPUS, FINDINGS, FOLDER, HEADER_TARGETS, ORACLE_TARGETS, oracle_of, unpack_corpus
from tests.support import wire
from tests.support.log_samples import read_log, step_rows


def inputs_of(name: str, folder: Path) -> list[Path]:
    """The stored inputs of a target, unpacked into a folder, and those that failed once."""
    return [*unpack_corpus(name, folder), *sorted((FINDINGS / name).glob("*"))]


@pytest.mark.parametrize("name", ORACLE_TARGETS)
def test_stored_inputs(name: str, tmp_path: Path) -> None:
    check = oracle_of(name)
    paths = inputs_of(name, tmp_path)
    assert len(paths) > 10
    for path in paths:
        try:
            check(path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path} fails") from error


@pytest.mark.parametrize("name", ORACLE_TARGETS)
def test_first_inputs(name: str, tmp_path: Path) -> None:
    write_seeds(name, tmp_path)
    check = oracle_of(name)
    for path in tmp_path.iterdir():
        check(path.read_bytes())


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
    paths = inputs_of(name, tmp_path / "inputs")
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
