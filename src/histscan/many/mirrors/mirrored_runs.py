"""Reads mirrors: runs whose description is in the mirror's state, and the table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.common.atomic import atomic_output
from histscan.common.keys import check_keys
from histscan.many.mirrors.names import HISTORY_FOLDER, RUNS_FILE, SYSTEM_FOLDER
from histscan.many.mirrors.state import MirroredRunEntry, MirrorState, is_mirror
from histscan.many.run_columns import RUN_ID
from histscan.many.run_table import describe_runs
from histscan.runs.parquet_run import ParquetRun
from histscan.runs.system_metrics import SystemMetricsScan, select_rows
from histscan.sources.parquet_files import PARQUET_SUFFIX
from histscan.sources.parquet_reader import read_batches

if TYPE_CHECKING:
    from histscan.columns.scan import Pages

__all__ = ["MirroredFiles", "MirroredRun", "write_runs_table"]


class MirroredRun(ParquetRun):
    """A run in a mirror. Its file is opened when the history is read.

    Args:
        folder: The mirror.
        entry: What the mirror has of the run.
    """

    def __init__(self, folder: Path, entry: MirroredRunEntry) -> None:
        self.file = folder / HISTORY_FOLDER / entry.file
        self.files = [self.file]
        self.file_id = entry.file.removesuffix(PARQUET_SUFFIX)
        self.described = entry.described
        self.system_file = folder / SYSTEM_FOLDER / entry.file if entry.has_system_file else None
        self._last_step = entry.last_step
        self._row_count = entry.rows

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - wandb's name
        """The highest step of the history; -1 without rows."""
        return self._last_step

    @property
    def row_count(self) -> int | None:
        """The number of rows of the history."""
        return self._row_count

    def system_metrics(self, keys: list[str] | None = None) -> SystemMetricsScan:
        """Scans the metrics of the machine, if they were mirrored.

        Args:
            keys: As for runs in logs.

        Returns:
            An iterator over dicts; empty without a file.
        """
        wanted = check_keys(keys) or None
        return SystemMetricsScan(partial(_read_rows, self.system_file, wanted), wanted, str(self.system_file))


def _read_rows(file: Path | None, keys: Sequence[str] | None) -> Pages:
    """Yields the rows of a file of system metrics."""
    if file is None:
        return
    for batch in read_batches(file):
        rows = batch.drop_columns([RUN_ID]).to_pylist()
        rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
        yield rows if keys is None else select_rows(rows, keys)


class MirroredFiles:
    """Finds the runs of files in mirrors; reads the state of each mirror once."""

    def __init__(self) -> None:
        self._runs: dict[Path, dict[str, MirroredRun]] = {}

    def folder_of(self, file: Path) -> Path | None:
        """Returns the mirror that a file belongs to; None if it belongs to none.

        Args:
            file: The file.
        """
        if file.parent.name in (HISTORY_FOLDER, SYSTEM_FOLDER) and is_mirror(file.parent.parent):
            return file.parent.parent
        return file.parent if file.name == RUNS_FILE and is_mirror(file.parent) else None

    def run_of(self, file: Path) -> MirroredRun | None:
        """Returns the run of a history file; None for other files of a mirror, and for those of no mirror.

        Args:
            file: The file.

        Raises:
            HistoryError: The state of the mirror is damaged.
        """
        folder = self.folder_of(file)
        if folder is None or file.parent.name != HISTORY_FOLDER:
            return None
        return self._read(folder).get(file.name)

    def runs_of(self, folder: Path) -> list[MirroredRun]:
        """Returns the runs of a mirror, in the order in which they were mirrored.

        Args:
            folder: The mirror.

        Raises:
            HistoryError: The state of the mirror is damaged.
        """
        return list(self._read(folder).values())

    def _read(self, folder: Path) -> dict[str, MirroredRun]:
        if folder not in self._runs:
            entries = MirrorState.read(folder).entries.values()
            self._runs[folder] = {entry.file: MirroredRun(folder, entry) for entry in entries}
        return self._runs[folder]


def write_runs_table(state: MirrorState) -> None:
    """Writes the table of the runs of a mirror.

    Args:
        state: The mirror.

    Raises:
        OSError: The file can't be written.
    """
    import pyarrow
    import pyarrow.parquet

    entries = list(state.entries.values())
    table = describe_runs([MirroredRun(state.folder, entry) for entry in entries], 1).to_arrow()
    columns: dict[str, Any] = {
        RUN_ID: pyarrow.array([entry.run_id for entry in entries], pyarrow.string()),
        **dict(zip(table.schema.names, table.columns, strict=True)),
        "rows": pyarrow.array([entry.rows for entry in entries], pyarrow.int64()),
        "file": pyarrow.array([f"{HISTORY_FOLDER}/{entry.file}" for entry in entries], pyarrow.string()),
        "is_deleted": pyarrow.array([entry.is_deleted for entry in entries], pyarrow.bool_()),
    }
    with atomic_output(state.folder / RUNS_FILE) as output:
        pyarrow.parquet.write_table(pyarrow.table(columns), output, compression="zstd")
