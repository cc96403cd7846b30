"""Histories of many runs as a Dask dataframe; needs ``pip install 'histscan[dask]'``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from histscan.columns.typed_columns import formats_of_types
from histscan.common.install_hint import install_hint
from histscan.many.options import FrameOptions
from histscan.many.run_table import plain_columns
from histscan.many.tasks import DEFAULT_TARGET_BYTES, HistoryTask, TaskPlan

if TYPE_CHECKING:
    import dask.dataframe
    import pandas
    from typing_extensions import Unpack

    from histscan.many.options import LazyArguments
    from histscan.many.runs import Runs

__all__ = ["read_histories"]


def read_histories(
    runs: Runs[Any],
    keys: Iterable[str | re.Pattern[str]] | None = None,
    *,
    target_bytes: int = DEFAULT_TARGET_BYTES,
    types: Mapping[str, str] | None = None,
    **options: Unpack[LazyArguments],
) -> dask.dataframe.DataFrame:
    """Makes a Dask dataframe of the histories of all runs. Rows are read by the workers when they are needed.

    A selection of columns is passed on to the reading: other keys are not made into columns, and those of Parquet files
    are not read. Workers find the API key themselves, and open files by the same paths: see `histscan.many.tasks`.

    If the types of keys are unknown without reading rows, as those of logs are, all rows are read once by the workers
    to find them; `types` makes that unnecessary.

    Args:
        runs: The runs.
        keys: As for ``runs.to_arrow``.
        target_bytes: The approximate size of a partition.
        types: As for `histscan.runs.contracts.Run.scan_polars`.
        **options: What else to read; see `histscan.many.options.LazyArguments`.

    Returns:
        The dataframe, with the rows of ``runs.to_arrow()`` in their order, and Arrow's types
        (``pandas.ArrowDtype``). ``run_id`` and ``run_name`` are text.

    Raises:
        HistoryError: A run can't be read.
        ImportError: Dask is not installed.
        ValueError: An argument is out of its range.
    """
    try:
        import dask.dataframe
    except ImportError as error:
        raise ImportError(f"read_histories() needs Dask: {install_hint('dask')}") from error
    if target_bytes < 1:
        raise ValueError(f"target_bytes must be at least 1, not {target_bytes}")
    plan = TaskPlan(runs, FrameOptions.of_lazy(keys, options), formats_of_types(types), _map_tasks)
    tasks = plan.tasks(target_bytes)
    meta = _to_pandas(tasks[0].schema.empty_table())
    return dask.dataframe.from_map(_read_partition, tasks, meta=meta, label="read-histories")


def _map_tasks(function: Callable[[HistoryTask], Any], tasks: Sequence[HistoryTask]) -> Iterable[Any]:
    """Calls a function with each task on the workers of the current client; without one, in threads."""
    import dask

    found: Iterable[Any] = dask.compute(*(dask.delayed(function, pure=False)(task) for task in tasks))
    return found


def _read_partition(task: HistoryTask, columns: Sequence[str] | None = None) -> pandas.DataFrame:
    # Dask passes on the projection as `columns`.
    return _to_pandas(task.to_arrow(columns))


def _to_pandas(table: Any) -> pandas.DataFrame:
    import pandas

    # Types with nulls of their own: in pandas's, a partition with missing integers would have floats.
    frame: pandas.DataFrame = plain_columns(table).to_pandas(types_mapper=pandas.ArrowDtype, ignore_metadata=True)
    return frame
