"""Pages of Parquet files: merges the rows of all files by step, reading row group by row group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from histscan._core.arrow.arrow_batch import ArrowBatch
from histscan._core.arrow.arrow_rows import ArrowPage, take_rows
from histscan.common.steps import STEP
from histscan.errors import HistoryDecodeError
from histscan.sources.parquet import ParquetSource, RowGroup

__all__ = ["read_pages"]


def read_pages(
    sources: Sequence[ParquetSource],
    *,
    keys: Sequence[str] | None,
    required: Sequence[str] = (),
    columns: Iterable[str] | None = None,
    min_step: int,
    stop_step: int,
    watch: Callable[[ParquetSource, RowGroup], object] | None = None,
    steps_only: bool = False,
    fills_gaps: bool = False,
) -> Iterator[ArrowPage]:
    """Reads rows in the order of their steps. The files may be in any order, and may overlap.

    A row group is read once all rows before its first step were yielded, and is kept until its last row was. Rows with
    the same step are in the order of the files, then in the order within the file. Of rows from different files that
    are equal in all columns that are read, only one is yielded.

    Args:
        sources: The files.
        keys: The keys of the rows, in this order; None for all columns that are read.
        required: Rows that lack one of these keys are skipped.
        columns: The keys whose columns are read, beside those of `keys` and `required`; None for all if there are no
            `keys`.
        min_step: First step, inclusive.
        stop_step: The end, exclusive.
        watch: Called after each row group is read.
        steps_only: The pages are only read for their `ArrowPage.segments`, and no row can be in two files: then their
            batches have only the steps, beside the batch that was read, their `ArrowBatch.source`.
        fills_gaps: As for `ArrowBatch`.

    Yields:
        Pages that have rows.

    Raises:
        HistoryDecodeError: A row group is corrupt; all rows before its first step were yielded.
    """
    waiting: list[tuple[int, int, int, ArrowBatch]] = []
    reads_all = keys is None and columns is None
    wanted = list(dict.fromkeys([STEP, *(columns or ()), *(keys or ()), *required]))
    groups: list[tuple[int, int, int, RowGroup]] = []
    paths: list[list[str] | None] = []
    for origin, source in enumerate(sources):
        found = [source.column_of(key) for key in wanted]
        paths.append(None if reads_all else [path for path in found if path is not None])
        if all(source.column_of(key) is not None for key in required):
            groups.extend(
                (group.first_step, origin, group.index, group)
                for group in source.groups
                if group.first_step < stop_step and group.last_step >= min_step
            )
    groups.sort(key=lambda entry: entry[:3])
    position = 0
    while position < len(groups) or waiting:
        while position < len(groups) and not any(
            batch.next_step < groups[position][0] for *_, batch in waiting if batch.next_step is not None
        ):
            _, origin, index, group = groups[position]
            position += 1
            for batch in _read_group(
                sources[origin],
                group,
                keys=keys,
                required=required,
                columns=paths[origin],
                steps_only=steps_only,
                fills_gaps=fills_gaps,
            ):
                batch.origin = origin
                batch.order_by_step(min_step, stop_step)
                waiting.append((origin, index, batch.first_row, batch))
            if watch is not None:
                watch(sources[origin], group)
            waiting = sorted(entry for entry in waiting if entry[3].next_step is not None)
        page = take_rows([batch for *_, batch in waiting], groups[position][0] if position < len(groups) else None)
        waiting = [entry for entry in waiting if entry[3].next_step is not None]
        if len(page):
            yield page


def _read_group(
    source: ParquetSource,
    group: RowGroup,
    *,
    keys: Sequence[str] | None,
    required: Sequence[str],
    columns: Sequence[str] | None,
    steps_only: bool,
    fills_gaps: bool,
) -> list[ArrowBatch]:
    """Reads a row group as batches that can decode rows; with `steps_only`, only their steps.

    Raises:
        HistoryDecodeError: It is corrupt, or has columns of a type that rows can't have.
    """
    page = f"row group {group.index}"
    batches: list[ArrowBatch] = []
    rows = 0
    try:
        steps = None if source.row_steps is None else source.row_steps[group.index]
        for source_batch in source.read(group, columns):
            read_batch = source_batch
            if steps_only:
                # Of several columns of steps, the last one counts.
                read_batch = source_batch.select(source_batch.schema.get_all_field_indices(STEP)[-1:])
            batch = ArrowBatch(
                read_batch,
                keys=keys,
                required=required,
                steps=None if steps is None else steps[rows : rows + source_batch.num_rows],
                fills_gaps=fills_gaps,
            )
            batch.run, batch.page, batch.first_row, batch.source = source.name, page, rows, source_batch
            rows += len(batch)
            batches.append(batch)
    except HistoryDecodeError as error:
        error.add_location(run=source.name, page=page)
        raise
    return batches
