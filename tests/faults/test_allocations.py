"""Failing allocations: each operation of the core raises a MemoryError or succeeds, and leaves its objects in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.core_operations import OPERATIONS
from tests.faults.thread_operations import THREAD_OPERATIONS
from tests.support.failing_library import build_library
from tests.support.paths import ROOT

# Every allocation takes some minutes: `make faults` does that. Otherwise a prime number leaves out different ones of
# the operations.
STRIDE = 1 if os.environ.get("HISTSCAN_FAULTS") == "all" else 23


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library("failing_allocations", tmp_path_factory.mktemp("library"), needs_python=True)


def check(library: Path, stride: int, *names: str, preloaded: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        "LD_PRELOAD": f"{library} {preloaded}",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join([str(library.parent), str(ROOT)]),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.check_allocations", str(stride), *names],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        cwd=ROOT,
    )


GROUPS = sorted({name.partition(" ")[0] for name in OPERATIONS})


@pytest.mark.parametrize("group", GROUPS)
def test_failing_allocations(group: str, library: Path) -> None:
    checked = check(library, STRIDE, *(name for name in OPERATIONS if name.partition(" ")[0] == group))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_failing_allocations_in_threads(library: Path) -> None:
    # A library that is loaded later takes memory for each thread's exceptions, and the C library ends the process if
    # there is none.
    checked = check(library, STRIDE, *THREAD_OPERATIONS, preloaded="libstdc++.so.6")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_faults_would_be_seen(library: Path) -> None:
    checked = check(library, 1, "a leak", "a wrong result", "a wrong error")
    assert checked.returncode == 1
    found = {line.partition(", ")[0] for line in checked.stdout.splitlines() if " from allocation " in line}
    assert found == {"a leak", "a wrong result", "a wrong error"}
