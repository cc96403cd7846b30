"""Record the `.wandb` logs of this folder with wandb 0.31.0. README.md tells what they are for.

Run it from the root of the project:

    python -m tests.data.record_fixtures
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.paths import DATA
from tests.support.recording import record_run

WANDB_RELEASE = "0.31.0"
ROW_COUNT = 50
FIRST_SPARSE_ROW = 30
CONFIG = {"learning_rate": 0.1, "layers": [32, 16], "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "tag": None}
SUMMARY = {"best": 0.25, "report": {"passed": True, "note": "fertig ✓"}}
ENCODINGS = {"default-encoding": None, "typed-encoding": "json,typed"}

_INTEGERS = (0, -1, 2**31, -(2**31) - 1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
_BEYOND_INT64 = (2**63, 2**64 - 1, 2**70 + 1, -(2**63) - 1, 10**40)
_NUMBERS = (0.1, -0.0, 1.0, 1e6, 1234567.0, 1e21, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, -1 / 3)
_NOT_FINITE = (math.nan, math.inf, -math.inf)
_TEXTS = (
    "",
    "plain",
    'quotes " and \\ backslashes / slashes',
    "tab\tnewline\nnul\x00bell\x07delete\x7f",
    "Grüße, 世界, \U0001f389",
    "line separator \u2028, paragraph separator \u2029, byte order mark \ufeff",
    "<a href='x'>&amp;</a>",
    "1e5",
    "NaN",
    "null",
    "é" * 500,
)
_LISTS: tuple[list[Any], ...] = (
    [],
    [1, 2.5, None, "x", True, [False, []]],
    [math.nan, math.inf, -math.inf, -0.0, 1.0],
    [{"a": {"b": [math.nan]}, "": {}}, 2**53 + 1, "\u2028"],
    list(range(40)),
)


def rows_to_log() -> Iterator[dict[str, Any]]:
    """Yield the rows that are logged; a row that names its `_step` is logged there, and so leaves a gap."""
    draw = random.Random(31)
    for index in range(ROW_COUNT):
        row: dict[str, Any] = {
            "loss": draw.lognormvariate(0.0, 2.0),
            "integer": _INTEGERS[index % len(_INTEGERS)],
            "beyond int64": _BEYOND_INT64[index % len(_BEYOND_INT64)],
            "number": _NUMBERS[index % len(_NUMBERS)],
            "not finite": _NOT_FINITE[index % len(_NOT_FINITE)],
            "text": _TEXTS[index % len(_TEXTS)],
            "list": _LISTS[index % len(_LISTS)],
            "flag": index % 3 == 0,
            "nothing": None,
            "changes type": (index, str(index), index / 7, None, [index], True)[index % 6],
            "dotted.key": index,
            "dotted": {"key": -index, "other.key": {"deep.er": math.nan if index % 2 else 0.5}},
            "nested": {"a": {"b": {"c": {"d": index}}}, "empty": {}, "": "empty name", "nothing": None},
            'quote " in a key': 1,
            "backslash \\ in a key": 2,
            "ключ \U0001f511": 3,
        }
        if index % 10 == 0:
            counts = [draw.randrange(100) for _ in range(8)]
            row["histogram"] = {"_type": "histogram", "values": counts, "bins": [edge / 4 for edge in range(9)]}
            row["nested"]["histogram"] = {"_type": "histogram", "values": [1, 2], "bins": [-0.5, 0.25, 1e-9]}
        if index % 7 == 0:
            row["sparse"] = index
            row["empty"] = {}
            row[""] = "wandb drops this"
        if index == FIRST_SPARSE_ROW:
            row["_step"] = 1000
        elif index > FIRST_SPARSE_ROW and index % 8 == 0:
            row["_step"] = 1000 + 10 * index
        yield row


def as_kept(value: Any) -> Any:
    """Return `value` as wandb keeps it below the top level of a row: empty mappings go, wide ints become floats."""
    if isinstance(value, dict):
        return {key: as_kept(item) for key, item in value.items() if item != {}}
    if isinstance(value, list):
        # Inside a list a mapping is part of the value, and stays whole.
        return [item if isinstance(item, dict) else as_kept(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def kept_rows() -> Iterator[dict[str, Any]]:
    """Yield the rows as the history holds them, each with its `_step`; wandb drops an empty key at the top level."""
    next_step = 0
    for row in rows_to_log():
        step = row.pop("_step", next_step)
        next_step = step + 1
        yield {**as_kept({key: value for key, value in row.items() if key != ""}), "_step": step}


def record_fixtures(directory: Path, python: Path) -> None:
    """Record the logs into `directory`, and write the rows that they hold beside them.

    Args:
        directory: Folder of the fixtures; files of the same names are replaced.
        python: Interpreter of an environment that has wandb 0.31.0.
    """
    for name, encoding in ENCODINGS.items():
        with tempfile.TemporaryDirectory(prefix="histscan-fixtures-") as aside:
            log = record_run(
                Path(aside),
                rows_to_log(),
                run_id=name,
                name=name.replace("-", " "),
                config=CONFIG,
                summary=SUMMARY,
                settings={} if encoding is None else {"x_history_value_encoding": encoding},
                python=python,
            )
            (directory / f"{name}.wandb").write_bytes(log.read_bytes())
    # Python's JSON writes the bare tokens NaN, Infinity and -Infinity, and reads them back.
    lines = [json.dumps(row) + "\n" for row in kept_rows()]
    (directory / "rows.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    """Record the fixtures, by default with an environment made for it and thrown away."""
    parser = argparse.ArgumentParser(description=f"Record the .wandb logs of tests/data with wandb {WANDB_RELEASE}.")
    parser.add_argument("--python", type=Path, help=f"interpreter that has wandb {WANDB_RELEASE}; default: make one")
    arguments = parser.parse_args()
    if arguments.python is not None:
        record_fixtures(DATA, arguments.python)
        return
    with tempfile.TemporaryDirectory(prefix="histscan-wandb-") as environment:
        venv.create(environment, with_pip=True)
        python = Path(environment) / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", f"wandb=={WANDB_RELEASE}"]
        subprocess.run(install, check=True, stdout=sys.stderr)
        record_fixtures(DATA, python)


if __name__ == "__main__":
    main()
