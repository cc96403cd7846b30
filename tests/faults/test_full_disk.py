"""A full disk: an error that says so, the old file or the new one, and nothing partial."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.check_full_disk import DISK_OPERATIONS
from tests.support.paths import ROOT

STRIDE = 1 if os.environ.get("HISTSCAN_FAULTS") == "all" else 6
NO_DISK = 2


def check(folder: Path, stride: int, *names: str) -> subprocess.CompletedProcess[str]:
    """Checks operations on a small disk; skips the test where none can be made."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed")
    if subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system has no namespaces for users")
    program = [sys.executable, "-W", "ignore", "-m", "tests.faults.check_full_disk", str(folder), str(stride), *names]
    checked = subprocess.run(
        [unshare, "-rm", *program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    if checked.returncode == NO_DISK:
        pytest.skip(f"no disk of a limited size can be mounted: {checked.stdout}")
    return checked


def test_full_disk(tmp_path: Path) -> None:
    checked = check(tmp_path, STRIDE, *DISK_OPERATIONS)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_faults_would_be_seen(tmp_path: Path) -> None:
    checked = check(tmp_path, 2, "a partial file")
    assert checked.returncode == 1
    assert "neither the old one nor the new one" in checked.stdout
