"""Where the files are that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

DATA = ROOT / "tests" / "data"
"""Logs that wandb recorded for these tests, and certificates."""

REAL_LOGS = ROOT / "tests" / "real_logs"
"""Logs of real runs."""

EXAMPLE = ROOT / "examples" / "lissajous-regression.wandb"
"""The run that the README shows."""

SEGMENTS = sorted(REAL_LOGS.glob("resumed-*.wandb"))
"""The logs of a run that was resumed twice."""
