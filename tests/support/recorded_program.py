"""Record what a program does with the real wandb client: its console, its machine's metrics, its environment."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.support.recording import clean_environment

# The machine's own facts are left in: reading them is what such a recording is for.
_BEGINNING = """
import sys, time
import wandb

settings = wandb.Settings(mode="offline", silent=True, console="wrap", disable_git=True, x_save_requirements=False)
"""


def record_program(workspace: Path, body: str) -> Path:
    """Run a program with wandb, offline and in a process of its own, and return the folder of its run.

    Args:
        workspace: Where the program runs; receives the folder `wandb`.
        body: The program, which finds `settings` for `wandb.init`.

    Raises:
        RuntimeError: If it fails; the message carries what it printed.
    """
    script = workspace / "program.py"
    script.write_text(_BEGINNING + textwrap.dedent(body) + "\nwandb.teardown()\n")
    finished = subprocess.run(
        [sys.executable, script.name],
        cwd=workspace,
        env=clean_environment(workspace),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"the program failed:\n{finished.stdout}{finished.stderr}")
    (folder,) = workspace.glob("wandb/offline-run-*")
    return folder
