"""The code in the documentation runs, and prints what the pages say."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.docs_blocks import PEER, Block, Unit, find_units, run_blocks
from tests.support.docs_project import LIVE_RUN, finish_run, write_workspace
from tests.support.paths import ROOT
from tests.support.server_process import serving

DOCS = ROOT / "docs"
RECIPES = DOCS / "recipes.md"

UNITS = [unit for page in sorted(DOCS.rglob("*.md")) for unit in find_units(page, recipes=page == RECIPES)]

OPTIONAL = ("dask", "ray")
"""Packages that `make test-clusters` installs."""


def missing(block: Block) -> list[str]:
    """The optional packages that a block imports and that are not installed."""
    imports = " ".join(re.findall(r"^\s*(?:from|import) (.+)$", block.code, re.M))
    return [name for name in OPTIONAL if find_spec(name) is None and re.search(rf"\b{name}\b", imports)]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_code_runs(unit: Unit, tmp_path: Path, workspace: Path, environment: dict[str, str]) -> None:
    blocks = [block for block in unit.blocks if not missing(block)]
    if (unit.page != RECIPES and len(blocks) < len(unit.blocks)) or not blocks:
        pytest.skip("Dask or Ray is not installed: `make test-clusters` runs this")
    unit = replace(unit, blocks=blocks)
    logs = write_workspace(tmp_path)
    if not any(LIVE_RUN in block.code or "latest-run" in block.code for block in unit.blocks):
        wrong = run_blocks(unit, tmp_path, environment)
    else:
        # The run goes on while the code follows it.
        with serving(logs) as server:
            ending = threading.Timer(2, finish_run, [logs])
            ending.start()
            wrong = run_blocks(unit, tmp_path, environment | {"WANDB_BASE_URL": server.url})
            ending.join()
    assert not wrong, wrong


def test_recipes_are_short() -> None:
    recipes = [unit for unit in UNITS if unit.page == RECIPES and unit.blocks[0].tab != PEER]
    assert len({unit.blocks[0].heading for unit in recipes}) == 12
    for recipe in recipes:
        (block,) = recipe.blocks
        lines = [line for line in block.code.splitlines() if line.strip()]
        assert len(lines) <= 8, f"{recipe.name} has {len(lines)} lines"
