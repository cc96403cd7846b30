"""What counts of the reports of sanitizers: never may a suppression hide the core."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.run_sanitized import findings, read_suppressions

LEAK = """\
Direct leak of 24 byte(s) in 1 object(s) allocated from:
    #0 0x7f in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x7f in {inner}
    #2 0x7f in PyImport_Import Python/import.c:2036
"""
CORE_FRAME = "histscan::take_buffer(unsigned long) src/histscan/_core/memory/buffer_pool.hpp:95"
RACE = "WARNING: ThreadSanitizer: data race (pid=1)\n  Write of size 8 by thread T1:\n    #0 {inner}\n"


def test_leaks_of_others_are_left_out() -> None:
    text = LEAK.format(inner="fill_time Modules/posixmodule.c:1") + LEAK.format(inner="other_time Modules/a.c:1")
    found, left_out = findings(text, ["fill_time"])
    assert (len(found), left_out) == (1, 1)
    assert "other_time" in found[0]


@pytest.mark.parametrize("report", [LEAK, RACE])
def test_the_core_is_never_left_out(report: str) -> None:
    found, left_out = findings(report.format(inner=CORE_FRAME), ["take_buffer", "PyImport_Import", "_core"])
    assert (len(found), left_out) == (1, 0)


def test_suppressions_are_explained(tmp_path: Path) -> None:
    folder = Path(__file__).parent
    assert len(read_suppressions(folder / "leaks.supp")) >= 3
    assert read_suppressions(folder / "races.supp") == []
    path = tmp_path / "new.supp"
    path.write_text("# Because.\nleak:one\n\nleak:two\n")
    with pytest.raises(AssertionError, match="say why before 'leak:two'"):
        read_suppressions(path)
