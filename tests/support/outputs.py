"""Every output of a run in files, to measure and to count how its work grows."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import histscan
from histscan.cli.main import main as run_command

Output = Callable[[Sequence[Path]], object]
"""Reads the files of a run, and makes something of all rows."""


def command(*arguments: str | Path) -> None:
    """Runs a command of the command line in this process, without its output."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = run_command(list(map(str, arguments)))
    if code:
        raise RuntimeError(f"histscan {arguments[0]} failed: {errors.getvalue()}")


def export(files: Sequence[Path], suffix: str) -> None:
    """Exports to a file that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        command("export", "-q", *files, "-o", Path(folder, f"out{suffix}"))


OUTPUTS: dict[str, Output] = {
    "rows": lambda files: deque(histscan.open(files).scan_history(), maxlen=0),
    "arrow": lambda files: histscan.open(files).to_arrow(threads=1),
    "arrow of each key": lambda files: histscan.open(files).to_arrow(histscan.open(files).keys(), threads=1),
    "batches": lambda files: deque(histscan.open(files).batches(), maxlen=0),
    "pandas": lambda files: histscan.open(files).to_pandas(threads=1),
    "polars": lambda files: histscan.open(files).to_polars(threads=1),
    "info": lambda files: command("info", *files),
    ".csv": lambda files: export(files, ".csv"),
    ".jsonl": lambda files: export(files, ".jsonl"),
    ".parquet": lambda files: export(files, ".parquet"),
    ".arrow": lambda files: export(files, ".arrow"),
}
