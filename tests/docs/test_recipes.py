"""The recipes run, and are short."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.docs_blocks import PEER, Unit, find_units
from tests.support.docs_run import NOT_INSTALLED, is_missing, run_unit
from tests.support.paths import ROOT

UNITS = list(find_units(ROOT / "docs" / "recipes.md", recipes=True))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_recipe_runs(unit: Unit, tmp_path: Path, environment: dict[str, str]) -> None:
    blocks = [block for block in unit.blocks if not is_missing(block)]
    if not blocks:
        pytest.skip(NOT_INSTALLED)
    wrong = run_unit(replace(unit, blocks=blocks), tmp_path, environment)
    assert not wrong, wrong


def test_recipes_are_short() -> None:
    recipes = [unit for unit in UNITS if unit.blocks[0].tab != PEER]
    assert len({unit.blocks[0].heading for unit in recipes}) == 12
    for recipe in recipes:
        (block,) = recipe.blocks
        lines = [line for line in block.code.splitlines() if line.strip()]
        assert len(lines) <= 8, f"{recipe.name} has {len(lines)} lines"
