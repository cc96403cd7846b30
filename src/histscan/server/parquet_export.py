"""Exports the history of a log to Parquet files, as W&B does.

Columns are the keys of the rows, and nested values are structs. `wandb-core` before 0.29.0 confuses a column's index
with the index of its leaf, and so reads wrong columns after a struct: columns with one leaf therefore come first.
"""

from __future__ import annotations

import hashlib
import json
import threading
from bisect import bisect_left
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.common.atomic import atomic_output
from histscan.common.json_fields import is_json
from histscan.common.steps import STEP, step_after
from histscan.runs.log_run import LogRun
from histscan.server.served_run import ExportedFiles, FileVersion
from histscan.server.work import cancellable, check_cancelled

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Exporter", "history_table"]

ROW_GROUP_ROWS = 65_536


class Exporter:
    """Exports histories to Parquet files on request, and keeps the files in a folder. Thread-safe.

    Args:
        folder: The folder of the files.
        which: ``"finished"`` for runs that have ended, ``"all"``, or ``"none"``.
        live_rows: The number of last rows of a run to leave out.
        rows_per_file: The number of rows per file.
    """

    def __init__(self, folder: Path, *, which: str, live_rows: int, rows_per_file: int) -> None:
        self._folder = folder
        self._which = which if _has_pyarrow() else "none"
        self._live_rows = live_rows
        self._rows_per_file = rows_per_file
        self._made: dict[tuple[tuple[Path, ...], FileVersion], ExportedFiles] = {}
        self._locks: dict[tuple[Path, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def exports(self, *, has_ended: bool) -> bool:
        """Returns True if the history of a run is exported, but for its last rows.

        Args:
            has_ended: True if the run will get no more rows.
        """
        return self._which == "all" or (self._which == "finished" and has_ended)

    def export_run(self, run: LogRun, version: FileVersion, *, has_ended: bool) -> ExportedFiles:
        """Exports a run's history, unless this version is already exported.

        Args:
            run: The run.
            version: The version of its log.
            has_ended: True if the run will get no more rows.

        Returns:
            The files, and the first step that is not in them.

        Raises:
            HistoryError: The history can't be read.
            OSError: A file can't be written.
        """
        if not self.exports(has_ended=has_ended):
            return ExportedFiles((), live_from=0)
        files = tuple(run.files)
        with self._lock:
            lock = self._locks.setdefault(files, threading.Lock())
        with lock:
            check_cancelled()
            made = self._made.get((files, version))
            if made is None:
                made = self._made[files, version] = self._write(run, version)
            return made

    def _write(self, run: LogRun, version: FileVersion) -> ExportedFiles:
        import pyarrow.parquet

        table = history_table(run)
        live_from = None
        if self._live_rows and len(table):
            steps = table.column(STEP).to_pylist()
            live_from = steps[max(0, len(steps) - self._live_rows)]
            # All rows of a step are on the same side.
            table = table.slice(0, bisect_left(steps, live_from))
        name = hashlib.sha256(
            "\0".join([*map(str, run.files), str(version)]).encode(errors="surrogateescape")
        ).hexdigest()[:32]
        files: list[Path] = []
        for first in cancellable(range(0, len(table), self._rows_per_file)):
            path = self._folder / f"{name}_{len(files)}.runhistory.parquet"
            with atomic_output(path) as output:
                pyarrow.parquet.write_table(
                    table.slice(first, self._rows_per_file), output, row_group_size=ROW_GROUP_ROWS
                )
            files.append(path)
        return ExportedFiles(files, live_from)


def history_table(run: LogRun) -> pyarrow.Table:
    """Reads a history into a table that can be written as Parquet.

    Args:
        run: The run.

    Returns:
        The rows, ordered by step. The step is the first column, an ``int64``. A column whose values have no common type
        is text: strings as they are, other values as JSON.

    Raises:
        HistoryError: The history can't be read.
    """
    import pyarrow

    table = run.scan_history().to_arrow(nested="json")
    # A mixed column is JSON text; floats may have a fraction.
    holds_odd_steps = STEP in table.column_names and not pyarrow.types.is_integer(table.schema.field(STEP).type)
    columns: dict[str, Any] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if is_json(field):
            columns[field.name] = _typed(column)
        elif pyarrow.types.is_null(field.type):
            columns[field.name] = column.cast(pyarrow.float64())
        else:
            columns[field.name] = column
    if STEP not in columns:
        return pyarrow.table({STEP: pyarrow.array([], pyarrow.int64())})
    columns[STEP] = _whole_steps(run) if holds_odd_steps else columns[STEP].cast(pyarrow.int64(), safe=False)
    names = sorted(columns, key=lambda name: (name != STEP, _leaves(columns[name].type) != 1))
    ordered = pyarrow.table({name: columns[name] for name in names})
    steps = ordered.column(STEP).to_pylist()
    if any(later < earlier for earlier, later in pairwise(steps)):
        ordered = ordered.take(sorted(range(len(steps)), key=steps.__getitem__))
    return ordered


def _whole_steps(run: LogRun) -> Any:
    """Returns whole steps for a history in which some are not: a W&B server stores steps as integers."""
    import pyarrow

    steps: list[int] = []
    for row in run.scan_history():
        steps.append(step_after(row.get(STEP), steps[-1] if steps else -1))
    return pyarrow.array(steps, pyarrow.int64())


def _typed(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Converts a column of JSON text to structs, lists, or text if its values have no common type."""
    import pyarrow

    texts = column.to_pylist()
    values = [None if text is None else json.loads(text) for text in texts]
    try:
        array = pyarrow.array(values)
        wanted = _readable(array.type)
        if wanted != array.type:
            array = pyarrow.array(values, wanted)
    except (pyarrow.ArrowException, OverflowError, ValueError, TypeError):
        array = pyarrow.array(
            [
                value if value is None or isinstance(value, str) else text
                for value, text in zip(values, texts, strict=True)
            ],
            pyarrow.string(),
        )
    return pyarrow.chunked_array([array])


def _readable(kind: pyarrow.DataType) -> pyarrow.DataType:
    """Replaces types that readers of history do not support.

    Raises:
        ValueError: The type has no replacement.
    """
    import pyarrow

    if pyarrow.types.is_null(kind):
        return pyarrow.float64()
    if pyarrow.types.is_list(kind):
        return pyarrow.list_(_readable(kind.value_type))
    if pyarrow.types.is_struct(kind):
        if kind.num_fields == 0:
            raise ValueError("Parquet has no struct without fields")
        return pyarrow.struct([(field.name, _readable(field.type)) for field in kind])
    return kind


def _leaves(kind: pyarrow.DataType) -> int:
    """Returns the number of leaf columns of a type in Parquet."""
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return sum(_leaves(field.type) for field in kind)
    return _leaves(kind.value_type) if pyarrow.types.is_list(kind) else 1


def _has_pyarrow() -> bool:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True
