"""mirror(): copies the histories of many runs to Parquet files, and keeps them up to date."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from histscan.many.mirrors.update import MirrorOptions, MirrorResult, update_mirror
from histscan.many.options import FrameOptions, RunsProgress
from histscan.many.runs import Runs
from histscan.opening import open_runs
from histscan.sources.parquet_reader import import_parquet

if TYPE_CHECKING:
    from histscan.many.local_runs import RunPaths

__all__ = ["mirror"]


def mirror(
    where: RunPaths | Runs[Any],
    folder: str | os.PathLike[str],
    *,
    filters: Mapping[str, Any] | None = None,
    keys: Iterable[str | re.Pattern[str]] | None = None,
    system: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    threads: int | None = None,
    progress: bool | Callable[[RunsProgress], object] = False,
) -> MirrorResult:
    """Copies the histories of many runs to Parquet files; later calls copy only what is new.

    The folder gets a file ``history/<run_id>.parquet`` for each run, whose first column is ``run_id``;
    ``runs.parquet``, the table of the runs; on request, ``system/<run_id>.parquet``; and ``mirror.jsonl``, the state.
    Polars, DuckDB, Spark, Dask and others read ``history/*.parquet`` as one table. All files have the same types, those
    of `Runs.to_arrow`: a key with ints in one run and floats in another is a column of floats, one with numbers and
    text is JSON text, as nested values are. Up to 500 keys in all, they also have the same columns; beyond that,
    readers must be told to join different columns (``union_by_name`` in DuckDB). A key ``run_id`` is the column
    ``history.run_id``.

    `histscan.open_runs` reads the folder as the runs that were copied, each with the types of its own values.
    Console output and ``wandb-metadata.json`` are not copied.

    Runs that have not changed since the last call cost no request besides the listing. Of a run that has grown, only
    later rows are requested; if its earlier rows have changed, too, it is copied again. Runs that were deleted on the
    server stay in the mirror, and are marked in ``runs.parquet``.

    Each file appears when it is complete: if the process is killed, the next call continues with the remaining runs.
    While another process writes to the same mirror, the call waits.

    Args:
        where: What `histscan.open_runs` takes, or a `histscan.Runs`; those of a project are listed again.
        folder: The mirror: a new or empty folder, or one that an earlier call has made.
        filters: As for `histscan.open_runs`. Runs of earlier calls stay in the mirror.
        keys: The keys to copy, beside the step: globs and compiled regular expressions choose several. None for all.
            If they differ from those of the last call, runs are copied again.
        system: True to copy the metrics of the machine, too.
        on_error: ``"raise"`` stops at a run that can't be read; ``"skip"`` leaves it out with a warning, and the next
            call tries again.
        threads: How many runs are read at the same time; None for a number that suits where they are stored.
        progress: True for a progress bar, or a function that is called with a `histscan.many.options.RunsProgress`.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: There is no such file or folder.
        FilterError: A condition is invalid.
        HistoryError: A run can't be read; or `folder` has other files, or runs of another server.
        ImportError: pyarrow is not installed.
        OSError: A file can't be written: for example, the disk is full. Complete files stay.
        ValueError: An argument is out of its range.

    Warns:
        MirrorWarning: Another process is writing to the mirror.
        RunSkippedWarning: A run is left out.
    """
    import_parquet()
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', not {on_error!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    if isinstance(where, Runs):
        runs = where.relist()
        runs = runs.filter(filters) if filters else runs
    else:
        runs = open_runs(where, filters=filters)
    options = MirrorOptions(FrameOptions.of_frame(keys, {}), system, on_error, threads, progress)
    return update_mirror(runs, Path(folder), options)
