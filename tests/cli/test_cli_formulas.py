"""``--guard-formulas``: texts that a spreadsheet would take for formulas; numbers stay as they are."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from histscan.cli.csv_writer import write_csv
from histscan.cli.exit_codes import MISUSED
from histscan.cli.main import main

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '="\'",x', "\uff1d1+1", "\uff0d1"]
TEXTS = ["", "a=1", "1-1", " =1", "'=1", "e@mail", "[-1]"]
NUMBERS: list[Any] = [-1, -1.5, -(10**30), float("-inf"), True, None, [-1], 7]


def cells(rows: list[dict[str, Any]], **options: Any) -> list[list[str]]:
    output = io.BytesIO()
    write_csv(rows, output, **options)
    return list(csv.reader(io.StringIO(output.getvalue().decode(), newline="")))


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas(formula: str) -> None:
    rows = [{"_step": 0, formula: formula}]
    assert cells(rows) == [["_step", formula], ["0", formula]]
    assert cells(rows, guard_formulas=True) == [["_step", f"'{formula}"], ["0", f"'{formula}"]]


@pytest.mark.parametrize("value", [*TEXTS, *NUMBERS])
def test_other_values_stay(value: Any) -> None:
    # Beside a text, a column is written value by value.
    for rows in ([{"_step": -1, "a": value}], [{"_step": -1, "a": value}, {"_step": 1, "a": "text"}]):
        assert cells(rows, guard_formulas=True) == cells(rows)


def write_rows(path: Path) -> Path:
    path.write_text("".join(json.dumps({"_step": step, "text": "=cmd()", "loss": -1}) + "\n" for step in range(3)))
    return path


@pytest.mark.parametrize("many", [False, True])
def test_export(tmp_path: Path, many: bool) -> None:
    paths = [str(write_rows(tmp_path / f"{name}.jsonl")) for name in ("a", "b")[: 1 + many]]
    goal = tmp_path / "out.csv"
    for options, text in (((), "=cmd()"), (("--guard-formulas",), "'=cmd()")):
        assert main(["export", *paths, "-o", str(goal), *options]) == 0
        rows = list(csv.DictReader(goal.open(newline="")))
        assert [(row["text"], row["loss"]) for row in rows] == [(text, "-1")] * 3 * (1 + many)


@pytest.mark.parametrize(
    "arguments", [["export", "PATH", "-o", "OUT.jsonl"], ["runs", "PATH", "-o", "OUT.jsonl"], ["runs", "PATH"]]
)
def test_only_for_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    path = write_rows(tmp_path / "a.jsonl")
    words = [word.replace("PATH", str(path)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert main([*words, "--guard-formulas"]) == MISUSED
    assert "--guard-formulas applies to CSV" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]
