"""Programs in a Python interpreter of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run_python(program: str, **environment: str) -> str:
    """Runs a program that must succeed.

    Args:
        program: Its source, which may be indented.
        environment: Environment variables to set.

    Returns:
        What it prints, without white space at the end.
    """
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | environment,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout.rstrip()
