"""The Python code of the README runs, with the names of runs that there are here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.docs_blocks import Block, Unit, find_blocks
from tests.support.docs_run import is_missing, run_unit
from tests.support.paths import ROOT

README = ROOT / "README.md"

NAMES = {
    "entity/project/run_id": "my-team/my-project/run00000",
    "entity/project": "my-team/my-project",
    "team/vision": "my-team/my-project",
    '"validation.*"': '"val/*"',
    '"val/acc"': '"val/accuracy"',
    "wandb/run-*-h465zmzw": "resumed/run-*-h465zmzw",
}

# What the blocks take for granted.
BEFORE = """
import multiprocessing
import subprocess
from importlib.util import find_spec

import duckdb
import polars
import polars as pl

import histscan

if find_spec("ray"):
    import ray.data

api, client, ids = histscan.Api(), histscan.Client(), ["run00003"]
subprocess.run(["histscan", "export", "my-team/my-project/run00000", "-o", "history/", "-q"], check=True)


def load(run):
    return run.to_pandas()
"""


def test_code_of_the_readme_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    blocks = [block for block in find_blocks(README) if block.language == "python" and not is_missing(block)]
    assert len(blocks) > 10
    for name, here in NAMES.items():
        blocks = [replace(block, code=block.code.replace(name, here)) for block in blocks]
    before = Block("python", BEFORE, 1, None, "", "")
    wrong = run_unit(Unit(README.name, README, [before, *blocks]), tmp_path, environment)
    assert not wrong, wrong
