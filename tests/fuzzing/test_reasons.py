"""What the fuzzing targets do not reach, in the words of the source, and the page that has the reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.coverage import Coverage
from fuzz.reasons import compare, missed_items, quoted_source, read_reasons

HEADER = "_core/table.hpp"
MODULE = "_core/page.pyx"
SOURCES = {
    HEADER: """int find(int key) {
    if (key < 0 || key > 9) return -1;
    const int slot = key;

    return slot;
}

int size() {
    return 10;
}
""",
    MODULE: """cdef int read(self, object text) except -1:
    if text is None or not text:
        return 0
    try:
        decode(text)
    except ValueError:
        fail("`text`")
        raise
    return 1
""",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, source in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def reached(source: str, lines: dict[int, bool]) -> Coverage:
    coverage = Coverage()
    for line, is_reached in lines.items():
        coverage.add_line((source, line), is_reached)
    return coverage


def test_conditions_and_lines_of_a_header(root: Path) -> None:
    coverage = reached(HEADER, {1: True, 2: True, 3: False, 5: False, 8: False, 9: False})
    coverage.add_branch((HEADER, 2), 9, "key < 0", True, True)
    coverage.add_branch((HEADER, 2), 20, "key > 9", False, True)
    assert missed_items(coverage, root) == {"find": {"`key > 9` never true"}, "size": {"all"}}
    coverage.add_branch((HEADER, 2), 20, "key > 9", True, False)
    assert missed_items(coverage, root) == {"find": {"`const int slot = key;`"}, "size": {"all"}}


def test_conditions_and_lines_of_a_module(root: Path) -> None:
    coverage = reached(MODULE, {2: True, 3: True, 5: True, 6: False, 7: False, 8: False, 9: True})
    coverage.add_branch((MODULE, 2), 1, "__pyx", False, True)
    coverage.add_branch((MODULE, 2), 2, "__pyx", True, True)
    items = {"`if text is None or not text` (1 of 2) never true", "`except ValueError:`"}
    assert missed_items(coverage, root) == {"read": items}
    coverage.add_branch((MODULE, 2), 3, "__pyx", False, False)
    coverage.add_line((MODULE, 6), True)
    items = {
        "`if text is None or not text` (1 of 3) never true",
        "`if text is None or not text` (3 of 3) never evaluated",
        "`fail(\"'text'\")`",
    }
    assert missed_items(coverage, root) == {"read": items}
    assert {quoted_source(item) for item in items} == {"if text is None or not text", "fail(\"'text'\")"}


def test_reasons_are_compared(root: Path) -> None:
    page = """Reason.

- `find`: `key > 9` never true; `return slot;`
- `read`: `if a or b` (1, 2 of 3) never evaluated

Another reason.

- `find`: `key < 0` never false
- `size`: all
"""
    reasons = read_reasons(page)
    assert reasons == {
        "find": {"`key > 9` never true", "`return slot;`", "`key < 0` never false"},
        "read": {"`if a or b` (1, 2 of 3) never evaluated"},
        "size": {"all"},
    }
    assert [*compare(reasons, reasons)] == []
    missed = {"find": {"`key > 9` never true", "`key < 0` never true", "`return slot;`"}, "new": {"all"}}
    assert [*compare(missed, reasons)] == [
        "- `find`: `key < 0` never true (no reason)",
        "- `find`: `key < 0` never false (is reached, or is not there)",
        "- `new`: all (no reason)",
        "- `read`: `if a or b` (1, 2 of 3) never evaluated (is reached, or is not there)",
        "- `size`: all (is reached, or is not there)",
    ]
