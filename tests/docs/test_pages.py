"""The code of the documentation's pages runs, and prints what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.docs_blocks import Unit, find_units
from tests.support.docs_run import NOT_INSTALLED, is_missing, run_unit
from tests.support.paths import ROOT

PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "recipes.md"]
UNITS = [unit for page in PAGES for unit in find_units(page, recipes=False)]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_code_of_a_page_runs(unit: Unit, tmp_path: Path, environment: dict[str, str]) -> None:
    if any(map(is_missing, unit.blocks)):
        pytest.skip(NOT_INSTALLED)
    wrong = run_unit(unit, tmp_path, environment)
    assert not wrong, wrong
