"""Failing calls of the system: an error of ours or the right result, no file lost, and none left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.check_calls import OPERATIONS
from tests.support.failing_library import build_library
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library("failing_calls", tmp_path_factory.mktemp("library"))


def check(library: Path, *names: str) -> subprocess.CompletedProcess[str]:
    environment = {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.check_calls", str(library), *names],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_failing_calls(name: str, library: Path) -> None:
    checked = check(library, name)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_faults_would_be_seen(library: Path) -> None:
    checked = check(library, "a partial file", "a wrong result", "a wrong error")
    assert checked.returncode == 1
    found = {line.partition(", ")[0] for line in checked.stdout.splitlines()}
    assert found == {"a partial file", "a wrong result", "a wrong error"}
