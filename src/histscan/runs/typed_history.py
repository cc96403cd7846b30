"""The history of a run as typed columns: the types are declared, known without reading, or found by a pass first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._core.columns.column_types import column_format, merge_columns
from histscan.columns.options import ColumnOptions
from histscan.columns.threads import build_chunks_in_threads
from histscan.columns.typed_columns import check_types
from histscan.common.lazy import cached_property
from histscan.common.quiet import quiet
from histscan.common.steps import STEP, UNBOUNDED
from histscan.errors import HistoryError
from histscan.runs.file_scan import FileScan

if TYPE_CHECKING:
    from histscan.columns.scan import Scan
    from histscan.runs.contracts import Run

__all__ = ["SurveyedHistory", "choose_formats"]


def choose_formats(
    find: Callable[[], Mapping[str, str]], keys: Sequence[str] | None, declared: Mapping[str, str]
) -> dict[str, str]:
    """Chooses the columns and their formats.

    Args:
        find: Finds the formats of the keys; not called if all of them are declared.
        keys: The keys to make columns of; None for all.
        declared: The formats that the caller declared.

    Returns:
        The format of each column, in order.
    """
    if keys is None:
        return {**find(), **declared}
    found = {} if set(keys) <= set(declared) else find()
    return {key: declared.get(key) or found.get(key, "n") for key in keys}


class SurveyedHistory:
    """The history of a run as a `histscan.columns.typed_columns.TypedHistory`.

    The history is read as it was at the first use, even if it grows, so that the types stay valid.

    Args:
        run: The run.
        options: The columns.
        declared: The formats that the caller declared.
    """

    def __init__(self, run: Run, options: ColumnOptions, declared: Mapping[str, str]) -> None:
        self._run = run
        self._options = options.choose(None, run.keys)
        # The step that was added to the keys is an integer, unless the caller says otherwise.
        self._declared = {STEP: "l", **declared} if declared and self._options.added_step else declared
        self._limits: Sequence[int] | None = None

    @property
    def schema(self) -> ArrowStream:
        """See `TypedHistory.schema`."""
        return ArrowStream(self._formats, [])

    @cached_property
    def _formats(self) -> dict[str, str]:
        return self._options.arrange(choose_formats(self._find_formats, self._options.keys, self._declared))

    def _find_formats(self) -> Mapping[str, str]:
        flags = self._run.key_type_flags()
        if flags is not None:
            return {name: column_format(seen) for name, seen in flags.items()}
        with quiet():  # the pass that makes the columns warns
            return merge_columns(self._chunks(self._open_scan(0, UNBOUNDED), self._options.keys))

    def read(self, columns: Sequence[str], min_step: int, stop_step: int) -> Iterator[ArrowStream]:
        """See `TypedHistory.read`."""
        formats = {name: self._formats[name] for name in columns}
        scan = self._open_scan(max(min_step, 0), stop_step)
        try:
            for chunk in self._chunks(scan, columns):
                check_types(chunk, formats)
                yield ArrowStream(formats, [chunk])
        except HistoryError as error:
            scan.add_location(error)
            raise

    def _open_scan(self, min_step: int, stop_step: int) -> Scan:
        seen = self._run.seen_stop_step
        stop_step = stop_step if seen is None else min(stop_step, seen)
        scan = self._run.scan_history(min_step=min_step, max_step=None if stop_step == UNBOUNDED else stop_step)
        if isinstance(scan, FileScan):
            if self._limits is None:
                self._limits = scan.snapshot().limits
            scan.limits = self._limits
        return scan

    def _chunks(self, scan: Scan, keys: Sequence[str] | None) -> Iterator[ColumnChunk]:
        options = self._options
        return build_chunks_in_threads(scan.column_pages(), keys=keys, flatten=options.flatten, threads=options.threads)
