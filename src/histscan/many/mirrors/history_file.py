"""Writes the Parquet file of a run's history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_stream import ArrowStream
from histscan._core.columns.column_chunk import ColumnChunk
from histscan._version import __version__
from histscan.columns.arrow_files import ROW_GROUP_ROWS, open_parquet, row_groups
from histscan.columns.frames import stream_batches
from histscan.common.atomic import atomic_output
from histscan.common.steps import STEP
from histscan.many.mirrors.layouts import stored_names
from histscan.many.run_columns import RUN_ID
from histscan.sources.parquet import MIRROR_METADATA, RUN_METADATA

if TYPE_CHECKING:
    import pyarrow

__all__ = ["write_history"]


def write_history(
    path: Path,
    chunks: Iterable[ColumnChunk],
    layout: Mapping[str, str],
    *,
    own: Mapping[str, str],
    run_id: str,
    described: Mapping[str, Any],
) -> int:
    """Writes the file of a run; it appears when it is complete.

    Args:
        path: The file, which is replaced if it exists.
        chunks: The rows.
        layout: The format of each column.
        own: The keys that the run logged, all of them in `layout`, with the formats of the run's own values.
        run_id: The value of the column ``run_id``, which comes first.
        described: The description of the run, for the metadata of the file.

    Returns:
        The highest step; -1 without rows, or if the steps are not integers.

    Raises:
        HistoryError: What reading the chunks raised.
        OSError: The file can't be written.
    """
    import pyarrow
    import pyarrow.compute

    stored = stored_names(layout)
    # In the order in which the run logged them.
    columns = {key: stored[key] for key in dict.fromkeys([*own, STEP]) if key in layout}
    widened = {key: kind for key, kind in own.items() if kind != layout[key]}
    stream = ArrowStream(dict(layout), chunks)
    keys = pyarrow.schema(stream)
    fields = [pyarrow.field(RUN_ID, pyarrow.string()), *(field.with_name(stored[field.name]) for field in keys)]
    metadata = {
        b"histscan.version": __version__,
        RUN_METADATA: json.dumps(described),
        MIRROR_METADATA: json.dumps({"columns": columns, "formats": widened}),
    }
    schema = pyarrow.schema(fields, metadata)
    # Ids may have lone surrogates, which are no text.
    text = run_id.encode("utf-8", "backslashreplace").decode()
    last_step = -1

    def batches() -> Iterator[pyarrow.RecordBatch]:
        nonlocal last_step
        for batch in stream_batches(stream):
            if len(batch) and layout.get(STEP) == "l":
                highest = pyarrow.compute.max(batch.column(list(layout).index(STEP))).as_py()
                last_step = last_step if highest is None else max(last_step, highest)
            ids = pyarrow.repeat(pyarrow.scalar(text, pyarrow.string()), len(batch))
            yield pyarrow.RecordBatch.from_arrays([ids, *batch.columns], schema=schema)

    # A file of another size than the state has is written again.
    with atomic_output(path, durable=False) as output:
        writer = open_parquet(output, schema)
        try:
            for table in row_groups(batches(), schema):
                writer.write_table(table, ROW_GROUP_ROWS)
        except BaseException:
            # A writer that is freed while open writes the end of its file then, at an unknown time.
            with suppress(Exception):
                writer.close()
            raise
        writer.close()
    return last_step
