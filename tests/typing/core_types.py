"""Types of the compiled core, for mypy to check; never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import assert_type

from histscan._core.keys.item_selection import ItemSelection
from histscan._core.pages.formats import HistoryPage, LinesPage, Page, ProtobufPage, SampledPage, TextPage
from histscan._core.pages.graphql_page import describe_errors
from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import BLOCK_SIZE, LogReader, checksum
from histscan._core.rows.scan import RowScan
from histscan._core.rows.summary_reducer import SummaryReducer

pages: list[Page] = [ProtobufPage(b""), HistoryPage(b""), SampledPage(b""), TextPage([]), LinesPage(b"")]
assert_type(len(pages[0]), int)
assert_type(pages[0].row(0), Any)
assert_type(pages[0].rows(), list[Any])
ProtobufPage("text")  # type: ignore[arg-type]
HistoryPage(bytearray())  # type: ignore[arg-type]
TextPage([1])  # type: ignore[arg-type]
LinesPage("text")  # type: ignore[arg-type]
assert_type(LinesPage(b"{}").text(0), bytes)
HistoryPage()  # type: ignore[call-arg]

reader = LogReader(skip_corrupt=True)
assert_type(reader.offset, int)
assert_type(reader.truncated_at, int | None)
assert_type(reader.corrupt_at, list[int])
assert_type(reader.is_finished, bool)
reader.offset = 7  # type: ignore[misc]
page = reader.read_window(b"", True)
assert_type(page, LogPage)
assert_type(page.step_range(), tuple[int, int] | None)
assert_type(page.records(3), list[bytes])
page.select_keys(ItemSelection(["loss"]))
page.select_keys(["loss"])  # type: ignore[arg-type]
assert_type(ItemSelection(key for key in ("a", "b")).keys, tuple[str, ...])
assert_type(checksum(1, b""), int)
assert_type(BLOCK_SIZE, int)
assert_type(SummaryReducer().values(), dict[str, Any])
assert_type(describe_errors([]), str)


class CountingScan(RowScan):
    """A scan as subclasses are written."""

    def _load_next(self) -> None:
        self._take_page(TextPage(["{}"]))
        self._take_page(["{}"])  # type: ignore[arg-type]
        self.page_offset += 1
        self.rows = [{"a": 1}]
        self.rows = [1]  # type: ignore[list-item]


scan = CountingScan(0, 10)
assert_type(iter(scan), CountingScan)
assert_type(next(scan), dict[str, Any])
assert_type(scan.rows, list[dict[str, Any]])
assert_type(scan.max_step, int)
assert_type(scan.min_step, int)
assert_type(scan.scan_offset, int)
iterator: Iterator[dict[str, Any]] = scan
RowScan(0)  # type: ignore[call-arg]
scan.scan_offset = "3"  # type: ignore[assignment]
