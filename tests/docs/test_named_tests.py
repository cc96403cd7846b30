"""The tests and functions that the documentation names exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from fuzz.reasons import UNREACHED, as_quoted, quoted_source, read_reasons
from fuzz.source_functions import Functions
from tests.support.paths import ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / "fuzz").glob("*.md"))]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def functions_in(path: Path) -> set[str]:
    """The names of a file's functions."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names(page: Path) -> None:
    for path, name in NAMED.findall(page.read_text()):
        assert (ROOT / path).is_file(), path
        assert not name or name in functions_in(ROOT / path), f"{path}::{name}"


def test_attacks_have_tests() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    section = text.partition("\n## Attacks\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| attack ")]
    assert len(rows) > 30
    for row in rows:
        assert any(name for _, name in NAMED.findall(row)), row


def test_reasons_are_about_what_the_core_has() -> None:
    texts = Functions(ROOT).texts()
    reasons = read_reasons(UNREACHED.read_text())
    assert len(reasons) > 20
    for name, items in reasons.items():
        assert name in texts, name
        for item in items:
            assert quoted_source(item) in as_quoted(texts[name]), f"{name}: {item}"
