"""Checks an installed histscan: python tests/machines/check_wheel.py. It needs none of the extras.

cibuildwheel runs it for each wheel, and `make wheels` for those of this machine.
"""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import histscan
from histscan._core.bytes.processor import vector_instructions

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "lissajous-regression.wandb"


def main() -> None:
    """Reads the example log as a user does.

    Raises:
        AssertionError: The installation does not give the rows of the log, or is not the installed one.
    """
    assert Path(histscan.__file__).is_relative_to(sys.prefix), f"{histscan.__file__} is not an installed histscan"
    run = histscan.open(EXAMPLE)
    rows = list(run.scan_history())
    assert [row["_step"] for row in rows] == list(range(run.lastHistoryStep + 1))
    assert math.isclose(rows[-1]["loss"], run.summary["loss"])
    assert list(pickle.loads(pickle.dumps(run)).scan_history(keys=["loss"])) == [
        {"loss": row["loss"]} for row in rows if "loss" in row
    ]
    command = [sys.executable, "-m", "histscan", "head", "-n", "1", "--json", str(EXAMPLE)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(printed.splitlines()[0]) == rows[0], printed
    print(f"histscan {histscan.__version__}, {vector_instructions()}: {len(rows)} rows")


if __name__ == "__main__":
    main()
