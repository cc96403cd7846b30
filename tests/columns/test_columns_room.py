"""Room for columns: what is made before it is needed changes nothing, and there is an end to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest

import histscan
from histscan import HistoryDecodeError
from histscan._core.arrow.arrow_input import read_batches
from histscan._core.arrow.arrow_rows import ArrowPage
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import TextPage
from histscan._core.pages.page import Page
from histscan.columns.threads import build_chunks_in_threads
from tests.support.column_rows import build_table, table_of
from tests.support.parquet_files import write_parquet
from tests.support.paths import ROOT

MIB = 2**20
LONG = 64 * MIB
"""Bytes in a text of which a page has many, though it is in memory once."""


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 100])
def test_room_that_is_expected(rows: int) -> None:
    page = TextPage(['{"a":1,"b":"x"}', '{"b":"yz","c":null}', '{"d":[0.5]}'])
    builder = ColumnBuilder(expected_rows=rows)
    for _ in range(2):
        builder.add_page(page)
        assert table_of([builder.take_chunk()]).equals(build_table([page]))


def texts_of_arrow(count: int) -> Page:
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * count), pyarrow.array(["x" * LONG]))
    return ArrowPage(read_batches(pyarrow.table({"number": range(count), "text": texts})))


def texts_of_json(count: int) -> Page:
    return TextPage(['{"text":"' + "x" * LONG + '"}'] * count)


@pytest.mark.parametrize("make_page", [texts_of_arrow, texts_of_json])
def test_more_text_than_a_column_can_have(make_page: Callable[[int], Page]) -> None:
    builder = ColumnBuilder()
    with pytest.raises(HistoryDecodeError, match=r"more than 2 GiB of text in one column.*\(row 31\)"):
        builder.add_page(make_page(40))
    assert builder.is_full
    assert builder.row_count == 31
    table = table_of([builder.take_chunk()])
    assert table.num_rows == 31
    assert table.column("text")[30].as_buffer().size == LONG
    builder.add_page(make_page(2), 1)
    assert table_of([builder.take_chunk()]).num_rows == 1


MANY_TEXTS = """
import json, resource
from histscan._core.columns.column_builder import ColumnBuilder
from histscan._core.pages.formats import HistoryPage, SampledPage, TextPage
from tests.support.encodings import history_body, sampled_body

rows = [json.dumps({f"key/{place}": "\\n" for place in range(40_000)}) for _ in range(2)]
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (512 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for page in (TextPage(rows), HistoryPage(history_body(rows)), SampledPage(sampled_body(rows))):
    builder = ColumnBuilder()
    assert builder.add_page(page) == 2
    assert len(builder.take_chunk().names) == 40_000
"""


def test_texts_of_many_columns_get_room_for_themselves() -> None:
    # Room for all that follows in the row would be 12 GB.
    subprocess.run([sys.executable, "-c", MANY_TEXTS], check=True, cwd=ROOT)


def test_pages_that_have_too_much_text_together() -> None:
    pages = [texts_of_json(9) for _ in range(4)]
    chunks = list(build_chunks_in_threads(pages, keys=None, flatten=False, threads=2))
    assert [len(chunk) for chunk in chunks] == [9, 9, 9, 9]


def test_a_file_that_has_too_much_text(tmp_path: Any) -> None:
    structs = pyarrow.StructArray.from_arrays(
        [pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 9_000), pyarrow.array(["x" * 2**16]))], ["text"]
    )
    write_parquet(tmp_path / "a.parquet", pyarrow.table({"_step": range(9_000), "struct": structs}))
    table = histscan.open(tmp_path / "a.parquet").to_arrow(["struct"], with_step=False)
    assert table.num_rows == 9_000
    assert table.column("struct").num_chunks > 1
    assert table.column("struct")[8_999].as_py() == '{"text": "' + "x" * 2**16 + '"}'
