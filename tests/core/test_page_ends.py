"""No reader goes beyond the end of a page: behind it is memory that must not be read."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT

# In a process of its own: a read beyond the end is a signal.
READ_TO_THE_END = """
import ctypes, mmap
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import ProtobufPage
from histscan.errors import HistoryError
from tests.support import wire
from tests.support.json_corpus import CORPUS, is_utf8

memory = mmap.mmap(-1, 2 * 65_536)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
half = 65_536
assert half % mmap.PAGESIZE == 0
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address + half), ctypes.c_size_t(half), 0) == 0

def page_at_end(data):
    memory[half - len(data) : half] = data
    return ProtobufPage(memoryview(memory)[half - len(data) : half].toreadonly())

def read(data):
    for build in (lambda page: page.rows(), ColumnBuilder().add_page, ColumnBuilder(flatten=True).add_page):
        try:
            build(page_at_end(data))
        except HistoryError:
            pass

zeros = [sign + "0." + "0" * count + digits for sign in ("", "-") for count in range(45) for digits in ("", "1")]
texts = [*CORPUS, *zeros, *("7" * count for count in range(1, 45)), *("1." + "3" * count for count in range(45))]
for text in texts:
    if not is_utf8(text) or len(text.encode()) > 20_000:
        continue
    for rows in ([[("x", text)]], [[("x", "1")], [("x", "2")], [("x", text)]]):
        read(wire.page(rows))
whole = wire.page([[("loss", "0.125"), ("name", '"text"'), ("list", "[1, 2]")]] * 3)
for length in range(len(whole)):
    read(whole[:length])
print("read all")
"""


def test_nothing_behind_a_page_is_read() -> None:
    ran = subprocess.run([sys.executable, "-c", READ_TO_THE_END], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "read all\n"), ran.stderr[-2_000:]
