"""Runs whose history is in Parquet files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.arrow.arrow_rows import ArrowPage
from histscan.columns.frames import stream_batches
from histscan.columns.options import ColumnOptions
from histscan.columns.parquet_columns import ColumnPlan, TableStream
from histscan.columns.passes import ColumnBatches, watched
from histscan.columns.scan import Pages, Watcher
from histscan.common.key_info import KeyInfo
from histscan.common.keys import check_keys
from histscan.common.lazy import cached_property
from histscan.common.steps import STEP, UNBOUNDED
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.paging.parquet_pages import read_pages
from histscan.runs.file_run import Paths
from histscan.runs.file_scan import FileScan
from histscan.runs.history_files import HistoryFileRun
from histscan.runs.parquet_keys import count_columns
from histscan.sources.parquet import RUN_METADATA, ParquetSource, RowGroup
from histscan.sources.parquet_files import PARQUET_SUFFIX, find_parquet
from histscan.sources.wandb_log import common_folder

if TYPE_CHECKING:
    import pyarrow

    from histscan.columns.typed_columns import TypedHistory

__all__ = ["ParquetRun", "ParquetScan"]

# wandb's names of the files that it downloads: entity, project and run, then the file's number.
_EXPORT_NAME = re.compile(r"(?P<run>.+)_\d+\.runhistory\.parquet")


class ParquetRun(HistoryFileRun):
    """A run whose history was exported to Parquet files: by W&B, or by ``histscan export``.

    Its rows are those of wandb's own reader for the same files, with these differences: floats stay floats, a key
    without a value is absent instead of None, and dates and times are ISO 8601 text. Steps are ints, whatever the type
    of the column; rows without a step are in no range of steps, and are left out.

    Several files are one history: their rows are ordered by step, even if the files overlap or have different columns.
    Rows of the same step stay separate, in the order of the files; but a row that another file repeats in all requested
    columns is returned once.

    Threads and forked processes may share a run. A pickle of it has the absolute paths of the files, their columns and
    their row groups: if a file has changed when it is unpickled, scans raise an error.

    Args:
        path: A file, a folder with ``.parquet`` files, a pattern such as ``"history/*.parquet"``; or a list of these.

    Attributes:
        file: The file; for several, the folder that has them.
        files: The files, in the order of their names.

    Raises:
        FileNotFoundError: There is no such file.
        HistoryDecodeError: A file is not a Parquet file, or incomplete.
        HistoryError: A file has no steps, or the files belong to several runs.
        ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
    """

    def __init__(self, path: Paths) -> None:
        given = [path] if isinstance(path, str | os.PathLike) else list(path)
        if not given:
            raise FileNotFoundError("there are no files to open: the list of paths is empty")
        self.files = list(dict.fromkeys(file for item in given for file in find_parquet(item)))
        self.file = self.files[0] if len(self.files) == 1 else common_folder(self.files)
        if isinstance(path, str | os.PathLike):
            _refuse_several({named["run"] for file in self.files if (named := _EXPORT_NAME.fullmatch(file.name))}, path)
        described = [json.loads(text) for source in self._sources if (text := source.metadata.get(RUN_METADATA))]
        _refuse_several({str(one.get("id")) for one in described}, self.file)
        self.file_id = self.file.resolve().name.removesuffix(PARQUET_SUFFIX)
        self.described: dict[str, Any] = described[0] if described else self._names()

    @cached_property
    def _sources(self) -> list[ParquetSource]:
        return [ParquetSource.of_file(file) for file in self.files]

    def _names(self) -> dict[str, Any]:
        """Returns entity, project and id from the names that W&B's client gives to downloaded files."""
        named = _EXPORT_NAME.fullmatch(self.files[0].name)
        if named is None:
            return {}
        parts = named["run"].split("_")
        # The parts are ambiguous if a name contains an underscore.
        entity, project, run = parts if len(parts) == 3 else ("", "", named["run"])
        return {"entity": entity, "project": project, "id": run}

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The summary, if the files have it, as those of a mirror do; else the last value of each key.

        For that, all files are read, once.

        Raises:
            HistoryDecodeError: A file is damaged.
        """
        if "summary" in self.described:
            return dict(self.described["summary"])
        values: dict[str, Any] = {}
        for page in read_pages(self._sources, keys=None, min_step=-UNBOUNDED, stop_step=UNBOUNDED):
            values.update(page.last_values())
        return values

    @property
    def rows(self) -> int:
        """The number of rows in all files, including rows without a step and repeated rows."""
        return sum(source.rows for source in self._sources)

    @property
    def files_by_step(self) -> list[Path]:
        """The files in the order of their first steps; those without steps come last."""
        firsts = [min((group.first_step for group in source.groups), default=UNBOUNDED) for source in self._sources]
        return [self.files[place] for place in sorted(range(len(firsts)), key=firsts.__getitem__)]

    @property
    def schemas(self) -> list[pyarrow.Schema]:
        """The schema of each file."""
        return [source.schema for source in self._sources]

    @property
    def has_step_index(self) -> bool:
        """True: row groups without steps in a range are not read."""
        return True

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - wandb's name
        """The highest step of the history; -1 without rows."""
        return max((group.last_step for source in self._sources for group in source.groups), default=-1)

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,  # noqa: ARG002 - a file is read in its row groups
        min_step: int = 0,
        max_step: int | None = None,
    ) -> ParquetScan:
        """Scans the history, row by row, in the order of steps.

        Args:
            keys: Only rows that have all of these keys, and only these keys; members of structs and of JSON text are
                dotted (``"validation.loss"``). None or an empty list for all rows with all keys. Other columns are
                not read.
            page_size: Ignored; accepted for scripts written for wandb.
            min_step: First step, inclusive. Row groups without a step in the range are not read.
            max_step: Step to stop at, exclusive; None for the end.

        Returns:
            An iterator over dicts, which ``iter()`` restarts.

        Raises:
            HistoryDecodeError: While iterating: a file is damaged; every row before has been returned.
        """
        return ParquetScan(
            self._sources,
            keys=check_keys(keys),
            min_step=min_step,
            stop_step=UNBOUNDED if max_step is None else max_step,
            path=self.file,
        )

    def split_steps(self, parts: int) -> list[int]:
        """See `Run.split_steps`. A part begins with a row group."""
        groups = sorted((group.first_step, group.rows) for source in self._sources for group in source.groups)
        total = sum(rows for _, rows in groups)
        cuts: list[int] = []
        before = 0
        for first, rows in groups:
            # The number of parts that should be complete before this row group.
            if before * parts // max(total, 1) > len(cuts):
                cuts.append(first)
            before += rows
        return cuts

    def typed_history(self, options: ColumnOptions, declared: Mapping[str, str]) -> TypedHistory:
        """See `Run.typed_history`. The files' schemas have the types of most columns."""
        if declared:
            return super().typed_history(options, declared)
        from histscan.runs.parquet_history import ParquetHistory

        return ParquetHistory(self.scan_history(), options)

    def _find_keys(self) -> list[KeyInfo]:
        """Finds the keys in the files' schemas. Members of structs are dotted; JSON text is one key."""
        return count_columns(self._sources)


class ParquetScan(FileScan):
    """Iterates over the rows of Parquet files; made by `ParquetRun.scan_history`.

    A page is what row groups have before the first step of the next one.

    Args:
        sources: The files, in order.
        keys: Only rows that have all of these, and of them only these; None for all rows as they are.
        min_step: First step of the scan, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end.
        path: The name of the history in errors.
        fills_gaps: True for rows that lack some of the keys, too: with None for keys that their file has a column of.
    """

    def __init__(
        self,
        sources: Sequence[ParquetSource],
        *,
        keys: Iterable[str] | None = None,
        min_step: int = 0,
        stop_step: int = UNBOUNDED,
        path: Path,
        fills_gaps: bool = False,
    ) -> None:
        self._sources = sources
        self._fills_gaps = fills_gaps
        super().__init__(path, keys, min_step, stop_step)

    @cached_property
    def size(self) -> int:
        """The approximate number of bytes to read, as if all rows of a file had the same size."""
        return sum(
            _share(source, group)
            for source in self._sources
            for group in source.groups
            if group.first_step < self._stop_step and group.last_step >= self.min_step
        )

    @property
    def column_bytes(self) -> int:
        """0, because pyarrow does not report its progress."""
        return 0

    def sizes(self) -> list[int]:
        """Returns the size of each file, in bytes."""
        return [source.size for source in self._sources]

    def open_pages(self) -> Pages:
        """See `RereadScan.open_pages`."""
        progress = self._progress

        def note_read(source: ParquetSource, group: RowGroup) -> None:
            progress.bytes_read += _share(source, group)

        return self._read_pages(keys=self.keys or None, watch=note_read)

    def _read_pages(self, **options: Any) -> Iterator[Any]:
        return read_pages(
            self._sources,
            required=() if self._fills_gaps else self.keys or (),
            min_step=self.min_step,
            stop_step=self._stop_step,
            fills_gaps=self._fills_gaps,
            **options,
        )

    def plan(self, options: ColumnOptions, formats: Mapping[str, str] | None = None) -> ColumnPlan:
        """Plans the columns of a table.

        Args:
            options: The columns.
            formats: As for `ColumnPlan`.

        Returns:
            The plan.
        """
        options = self.choose_columns(options)
        self._check_columns(options)
        return ColumnPlan(
            self._sources, self._read_segments, keys=options.keys, flatten=options.flatten, formats=formats
        )

    def _read_segments(self, columns: Sequence[str] | None) -> Iterator[ArrowPage]:
        """Yields pages for their segments: their rows can be decoded only if that is needed to find repeated rows."""
        steps_only = (self._fills_gaps or not self.keys) and self.can_read_less
        return self._read_pages(keys=None, columns=columns, steps_only=steps_only)

    def known_keys(self) -> Sequence[str] | None:
        """See `Scan.known_keys`: from the files' schemas, whatever the rows of the scan."""
        return count_columns(self._sources)

    def _check_columns(self, options: ColumnOptions) -> None:
        """Checks that there are columns of the requested keys; a key within JSON text may be any."""
        missing = [key for key in options.keys or () if all(source.column_of(key) is None for source in self._sources)]
        try:
            replace(options, keys=missing).check_found(())
        except HistoryError as error:
            self.add_location(error)
            raise

    @property
    def can_read_less(self) -> bool:
        """True if reading some columns only gives the same rows.

        False if files overlap: their repeated rows are those that are equal in all columns.
        """
        ranges = sorted(
            (min(group.first_step for group in source.groups), max(group.last_step for group in source.groups))
            for source in self._sources
            if source.groups
        )
        return all(last < first for (_, last), (first, _) in pairwise(ranges))

    def column_pages_of(self, keys: Sequence[str] | None) -> Pages:
        """See `Scan.column_pages_of`."""
        if keys is None or self.keys or not self.can_read_less:
            return self.column_pages()
        return self._read_pages(keys=None, columns=keys)

    def of_steps(self, min_step: int, stop_step: int) -> ParquetScan:
        """Returns a scan of a range of steps of the same files.

        Args:
            min_step: First step, inclusive.
            stop_step: Step to stop at, exclusive.
        """
        return ParquetScan(
            self._sources,
            keys=self.keys,
            min_step=min_step,
            stop_step=stop_step,
            path=self.path,
            fills_gaps=self._fills_gaps,
        )

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        # pyarrow has its own threads, so `options.threads` does not apply.
        plan = self.plan(options)
        try:
            return plan.table()
        except HistoryDecodeError as error:
            self.add_location(error)
            raise

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        return TableStream(self.plan(options), options.rows)

    def read_columns(self, options: ColumnOptions, watch: Watcher | None = None) -> ColumnBatches:
        """See `Scan.read_columns`."""
        import pyarrow

        # The files have types, and the rows are in the order of steps.
        batches = stream_batches(self.batch_stream(options))
        first = next(batches, None)
        schema = pyarrow.schema([(STEP, pyarrow.int64())]) if first is None else first.schema
        return ColumnBatches(schema, True, watched(chain([] if first is None else [first], batches), watch))


def _share(source: ParquetSource, group: RowGroup) -> int:
    """Returns the estimated size of a row group in bytes."""
    return source.size * group.rows // max(source.rows, 1)


def _refuse_several(names: set[str], where: object) -> None:
    """Raises an error if files belong to several runs."""
    if len(names) > 1:
        shown = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise HistoryError(
            f"the Parquet files of {str(where)!r} belong to {len(names)} runs ({shown}): pass those of one run, "
            "or open all of them with histscan.open_runs()"
        )
