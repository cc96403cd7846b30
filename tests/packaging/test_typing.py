"""Scripts of users pass strict type checks with the installed package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SCRIPT = ROOT / "tests" / "typing" / "user_script.py"


def check(command: list[str], folder: Path, script: str) -> str:
    """Checks a script outside the checkout, and returns what the checker printed, or nothing if all is right."""
    path = folder / "script.py"
    path.write_text(script)
    finished = subprocess.run([*command, str(path)], cwd=folder, capture_output=True, text=True, check=False)
    return "" if finished.returncode == 0 else finished.stdout + finished.stderr


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_script_passes(checker: str, tmp_path: Path) -> None:
    if checker == "mypy":
        command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports"]
    elif (found := shutil.which("pyright")) is not None:
        command = [found, "--pythonpath", sys.executable]
    else:
        pytest.skip("pyright is not installed: pip install pyright")
    script = SCRIPT.read_text()
    assert check(command, tmp_path, script) == ""
    for right, wrong in (
        ('nested="flatten"', 'nested="flat"'),
        ("pandas=False", 'pandas="no"'),
        ('compression="snappy"', 'compression="zip"'),
        ('timestamps="datetime"', 'timestamps="days"'),
    ):
        assert right in script
        assert check(command, tmp_path, script.replace(right, wrong)) != "", wrong
