"""The history of a Parquet run as typed columns: most types come from the files' schemas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from histscan.columns.frames import stream_batches
from histscan.columns.options import ColumnOptions
from histscan.columns.parquet_columns import TableStream
from histscan.common.lazy import cached_property

if TYPE_CHECKING:
    import pyarrow

    from histscan.columns.parquet_columns import ColumnPlan
    from histscan.runs.parquet_run import ParquetScan

__all__ = ["ParquetHistory"]


class ParquetHistory:
    """The rows of Parquet files as a `histscan.columns.typed_columns.TypedHistory`.

    Args:
        scan: A scan of all rows.
        options: The columns.
    """

    def __init__(self, scan: ParquetScan, options: ColumnOptions) -> None:
        self._scan = scan
        self._options = options

    @cached_property
    def _plan(self) -> ColumnPlan:
        return self._scan.plan(self._options)

    @property
    def schema(self) -> pyarrow.Table:
        """See `TypedHistory.schema`."""
        return self._plan.schema.empty_table()

    def read(self, columns: Sequence[str], min_step: int, stop_step: int) -> Iterator[pyarrow.RecordBatch]:
        """See `TypedHistory.read`."""
        scan = self._scan.of_steps(max(min_step, self._scan.min_step), stop_step)
        chosen = replace(self._options, keys=list(columns)) if self._scan.can_read_less else self._options
        for batch in stream_batches(TableStream(scan.plan(chosen, self._plan.other_formats), chosen.rows)):
            yield batch.select(list(columns))
