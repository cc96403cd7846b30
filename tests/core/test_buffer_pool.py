"""Memory of columns that is kept for the next ones: within bounds, and with nothing of the old ones in it."""

from __future__ import annotations

import gc
import multiprocessing
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy
import pytest

from histscan._core.memory.buffer_pool import spare_bytes
from histscan._core.memory.pooled_bytes import PooledBytes
from histscan._core.pages.formats import ProtobufPage, TextPage
from histscan._core.pages.log_reader import LogReader
from tests.support import wire
from tests.support.column_rows import build_table
from tests.support.log_samples import step_rows

MIB = 2**20
LIMIT = 64 * MIB


def number_page(rows: int, columns: int = 8) -> ProtobufPage:
    return ProtobufPage(wire.page([[(f"key{place}", f"{row}.5") for place in range(columns)] for row in range(rows)]))


def test_memory_is_kept_when_a_table_is_given_up_and_used_again() -> None:
    # Whatever else is kept has to make room for it.
    fill_pool(800)
    page = number_page(3_000)
    table = build_table([page])
    del table
    gc.collect()
    kept = spare_bytes()
    table = build_table([page])
    assert kept - spare_bytes() >= 8 * 3_000 * 8
    assert table.column("key7")[2_999].as_py() == 2_999.5


def fill_pool(rows: int) -> None:
    """Gives more memory back than is kept, in buffers for so many rows."""
    page = number_page(rows)
    tables = [build_table([page] * (100_000 // rows), rows=rows) for _ in range(16)]
    assert sum(table.nbytes for table in tables) > 1.5 * LIMIT
    del tables
    gc.collect()


@pytest.mark.parametrize("rows", [800, 5_000])
def test_there_is_an_end_to_what_is_kept(rows: int) -> None:
    fill_pool(rows)
    assert LIMIT - MIB < spare_bytes() <= LIMIT


@pytest.mark.parametrize("rows", [1, 511, 512, 513, 767, 768, 769, 1_024, 1_025, 4_095, 4_096, 6_145, 70_000])
def test_columns_of_every_size_of_buffer(rows: int) -> None:
    page = number_page(rows, 2)
    for _ in range(3):
        table = build_table([page], rows=rows)
        assert table.column("key1").to_pylist() == [row + 0.5 for row in range(rows)]


def test_nulls_show_nothing_of_what_was_there_before() -> None:
    secret = struct.unpack("<d", b"password")[0]
    before = build_table([TextPage([f'{{"a":{secret!r},"b":{secret!r},"list":[{secret!r}]}}'] * 2_000)])
    assert before.column("a")[0].as_py() == secret
    del before
    gc.collect()
    rows = ['{"a":0.5}' if row % 3 else '{"b":1.5}' for row in range(1_500)]
    table = build_table([TextPage([*rows, *["{}"] * 400])])
    for name in ("a", "b"):
        (chunk,) = table.column(name).chunks
        for buffer in chunk.buffers():
            assert b"password" not in buffer.to_pybytes()[: 8 * len(chunk)]
        values = memoryview(chunk.buffers()[1]).cast("d")
        assert all(values[row] == 0.0 for row in range(len(chunk)) if not chunk[row].is_valid)


def test_windows_keep_their_memory_for_as_long_as_rows_refer_to_it() -> None:
    log = wire.write_log(step_rows(range(100), size=2_000))
    pages = []
    for _ in range(3):
        window = PooledBytes(len(log))
        memoryview(window)[:] = log
        pages.append(LogReader().read_window(memoryview(window).toreadonly(), True))
        del window
    others = [PooledBytes(len(log)) for _ in range(3)]
    for other in others:
        memoryview(other)[:] = bytes(len(log))
    rows = [page.rows() for page in pages]
    assert rows[0] == rows[1] == rows[2] == LogReader().read_window(log, True).rows()
    assert [row["_step"] for row in rows[0]] == list(range(100))


@pytest.mark.parametrize("size", [4_096, 200_000, 1_048_576])
def test_memory_of_windows_is_used_again_and_aligned(size: int) -> None:
    addresses = set()
    for _ in range(5):
        window = PooledBytes(size)
        view = numpy.frombuffer(memoryview(window), numpy.uint8)
        assert len(view) == size
        addresses.add(view.ctypes.data)
        del view, window
    assert len(addresses) == 1
    assert addresses.pop() % 64 == 0


@pytest.mark.parametrize("size", [0, 1, 4_095, 4_194_305])
def test_windows_of_sizes_that_are_not_kept(size: int) -> None:
    before = spare_bytes()
    window = PooledBytes(size)
    memoryview(window)[:] = b"x" * size
    assert bytes(window) == b"x" * size
    del window
    assert spare_bytes() == before


def test_windows_of_impossible_sizes() -> None:
    for size in (-1, 2**64):
        with pytest.raises(OverflowError):
            PooledBytes(size)


def test_many_threads_take_and_give() -> None:
    pages = [number_page(rows) for rows in (600, 1_200, 2_500)]

    def work(turn: int) -> bool:
        for _ in range(15):
            rows = len(pages[turn % 3])
            table = build_table([pages[turn % 3]])
            if table.column("key3").to_pylist() != [row + 0.5 for row in range(rows)]:
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(12)))
    assert spare_bytes() <= LIMIT


def _sum_in_child(page_rows: int, answers: Any) -> None:
    answers.put(sum(build_table([number_page(page_rows)]).column("key0").to_pylist()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_columns_of_its_own() -> None:
    kept = build_table([number_page(2_000)])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_sum_in_child, args=(2_000, answers))
    child.start()
    assert answers.get(timeout=60) == sum(kept.column("key0").to_pylist())
    child.join(timeout=60)
    assert child.exitcode == 0
