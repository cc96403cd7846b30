"""The directions of imports that import-linter cannot see, because the core's modules are compiled.

The others are in pyproject.toml, and `make lint` holds them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "src" / "histscan"

CORE_FILES = sorted(
    path.relative_to(ROOT) for suffix in ("pyx", "pxd", "pyi", "py") for path in (ROOT / "_core").rglob(f"*.{suffix}")
)
CYTHON_IMPORT = re.compile(r"^\s*(?:from|c?import)\s+(histscan[\w.]*)", re.MULTILINE)

WITHOUT_CORE = ["sources", "proto", "cli", "plotting", "errors.py", "common", "_version.py"]


def imported_by(source: str) -> Iterator[str]:
    """The modules of histscan that a Python module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] == "histscan")


@pytest.mark.parametrize("path", CORE_FILES, ids=str)
def test_the_core_imports_nothing_but_the_errors(path: Path) -> None:
    imported = CYTHON_IMPORT.findall((ROOT / path).read_text())
    assert all(name == "histscan.errors" or name.startswith("histscan._core") for name in imported), imported


def test_cython_imports_are_found() -> None:
    found = CYTHON_IMPORT.findall("    from histscan.api cimport x\ncimport histscan._core.page\nimport histscan\n")
    assert found == ["histscan.api", "histscan._core.page", "histscan"]
    assert any("histscan.errors" in CYTHON_IMPORT.findall((ROOT / path).read_text()) for path in CORE_FILES)


@pytest.mark.parametrize("name", WITHOUT_CORE)
def test_imports_nothing_of_the_core(name: str) -> None:
    place = PACKAGE / name
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert files
    for file in files:
        imported = [module for module in imported_by(file.read_text()) if module.startswith("histscan._core")]
        assert not imported, f"{file.relative_to(PACKAGE)} imports {', '.join(imported)}"


def test_python_imports_are_found() -> None:
    source = "import histscan._core.page\nif 1:\n    from histscan._core import scan\nfrom histscan.errors import A"
    assert set(imported_by(source)) == {"histscan._core.page", "histscan._core.scan", "histscan.errors.A"}
