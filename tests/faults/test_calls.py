"""Failing calls of the system, and files that are cut: an error or the right result, and nothing lost or left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.file_operations import OPERATIONS
from tests.support.failing_library import build_library
from tests.support.paths import ROOT

# As for allocations: `make faults` takes each call.
STRIDE = 1 if os.environ.get("HISTSCAN_FAULTS") == "all" else 17
READING = [name for name, operation in OPERATIONS.items() if not operation.output]
WRITING = [name for name, operation in OPERATIONS.items() if operation.output]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library("failing_calls", tmp_path_factory.mktemp("library"))


def check(library: Path, kind: str, stride: int, *names: str) -> subprocess.CompletedProcess[str]:
    environment = {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.check_calls", str(library), kind, str(stride), *names],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("kind", ["calls", "cuts"])
@pytest.mark.parametrize("names", [READING, WRITING], ids=["reading", "writing"])
def test_failures(names: list[str], kind: str, library: Path) -> None:
    checked = check(library, kind, STRIDE, *names)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def faults(library: Path, kind: str, *names: str) -> set[str]:
    checked = check(library, kind, 1, *names)
    assert checked.returncode == 1
    return {line.partition(", ")[0] for line in checked.stdout.splitlines()}


def test_faults_would_be_seen(library: Path) -> None:
    names = {"a partial file", "a wrong result", "a wrong error"}
    assert faults(library, "calls", *names) == names
    assert faults(library, "cuts", "lost bytes") == {"lost bytes"}
