"""`histscan` as people run it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "histscan"]


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command; the options are those of `subprocess.run`."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options
    )


def check_refused(finished: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Checks that an error is reported as one line that contains the words."""
    assert finished.returncode == code
    assert finished.stdout == ""
    assert finished.stderr.startswith("histscan: error: ")
    assert finished.stderr.count("\n") == 1
    for word in words:
        assert word in finished.stderr
