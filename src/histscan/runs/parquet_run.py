"""Runs whose history lies in Parquet files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.page import Page
from histscan._core.scan import RowScan
from histscan.columns.frames import ColumnExports
from histscan.columns.parquet_columns import ColumnPlan, TableStream
from histscan.common.lazy import cached_property
from histscan.errors import HistoryDecodeError, HistoryError
from histscan.paging.page_stream import PageStream
from histscan.paging.parquet_pages import read_pages
from histscan.runs.log_scan import UNBOUNDED
from histscan.runs.parquet_members import ParquetMembers
from histscan.sources.parquet import RUN_METADATA, ParquetSource, RowGroup
from histscan.sources.parquet_files import PARQUET_SUFFIX, find_parquet
from histscan.sources.wandb_log import common_folder

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ParquetRun", "ParquetScan"]

# How wandb names the files that it downloads: entity, project and run, then the file's number.
_EXPORT_NAME = re.compile(r"(?P<run>.+)_\d+\.runhistory\.parquet")


class ParquetRun(ParquetMembers, ColumnExports):
    """A run whose history was exported to Parquet files: by W&B, or by ``histscan export``.

    Its rows are what wandb's own reader makes of the same files, with these differences: floats stay floats, a key
    without a value is absent instead of None, and dates and times are ISO 8601 text. Steps are ints, however the file
    has them; a row without a step belongs to no range of steps, and is left out.

    Several files are one history: their rows are ordered by step, whatever the files overlap, and whatever columns
    each has. Rows of one step stay separate rows, in the order of the files; only a row that another file repeats in
    all that was asked for is given once.

    Threads and forked processes may share a run. A pickle of it has the paths of the files, from the root on, and which
    columns and row groups they have: if a file has changed where it is unpickled, scans raise an error.

    Args:
        path: A file, a folder with ``.parquet`` files, a pattern such as ``"history/*.parquet"``; or a list of these.

    Attributes:
        file: The file; of several, the folder that they are in.
        files: The files, in the order of their names.

    Raises:
        FileNotFoundError: There is no such file.
        HistoryDecodeError: A file is no Parquet file, or not all of one.
        HistoryError: A file has no steps, or the files are those of several runs.
        ImportError: pyarrow is not installed (``pip install 'histscan[arrow]'``).
    """

    def __init__(self, path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> None:
        given = [path] if isinstance(path, str | os.PathLike) else list(path)
        if not given:
            raise FileNotFoundError("there are no files to open: the list of them is empty")
        self.files = list(dict.fromkeys(file for item in given for file in find_parquet(item)))
        self.file = self.files[0] if len(self.files) == 1 else common_folder(self.files)
        if isinstance(path, str | os.PathLike):
            _refuse_several({named["run"] for file in self.files if (named := _EXPORT_NAME.fullmatch(file.name))}, path)
        self._sources = [ParquetSource.of_file(file) for file in self.files]
        described = [json.loads(text) for source in self._sources if (text := source.metadata.get(RUN_METADATA))]
        _refuse_several({str(one.get("id")) for one in described}, self.file)
        self._described: dict[str, Any] = described[0] if described else {}

    @cached_property
    def _names(self) -> tuple[str, str, str]:
        """Entity, project and id: as the files say, or as their names do."""
        if self._described:
            entity, project, run = (str(self._described.get(name) or "") for name in ("entity", "project", "id"))
            return entity, project, run
        named = _EXPORT_NAME.fullmatch(self.files[0].name)
        if named is None:
            return "", "", self.file.resolve().name.removesuffix(PARQUET_SUFFIX)
        parts = named["run"].split("_")
        # Where a name has an underscore of its own, nobody can say which is which.
        return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", named["run"])

    @property
    def entity(self) -> str:
        """The user or team that the run belongs to; empty if the files don't tell."""
        return self._names[0]

    @property
    def project(self) -> str:
        """The project's name; empty if the files don't tell."""
        return self._names[1]

    @property
    def id(self) -> str:
        """The run's id; the name of the file or folder if the files don't tell."""
        return self._names[2]

    @property
    def name(self) -> str:
        """The run's display name; its id if the files don't tell."""
        return str(self._described.get("name") or self.id)

    @property
    def group(self) -> str:
        """The run's group; empty if it has none, or the files don't tell."""
        return str(self._described.get("group") or "")

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none, or the files don't tell."""
        return str(self._described.get("job_type") or "")

    @property
    def tags(self) -> list[str]:
        """The run's tags, as far as the files tell."""
        return [str(tag) for tag in self._described.get("tags") or ()]

    @property
    def path(self) -> list[str]:
        """Entity, project and id, as ``wandb.Api().run().path`` has them."""
        return [self.entity, self.project, self.id]

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration, which ``histscan export`` writes along; empty if the files don't tell."""
        return dict(self._described.get("config") or {})

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The last value of each key; all files are read for it, once.

        Raises:
            HistoryDecodeError: A file is damaged.
        """
        values: dict[str, Any] = {}
        for page in read_pages(self._sources, keys=None, min_step=-UNBOUNDED, stop_step=UNBOUNDED):
            values.update(page.last_values())
        return values

    @property
    def rows(self) -> int:
        """How many rows the files have together, those without a step and those that are repeated included."""
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
            keys: Only rows that have all of these keys, and of them only these; members of structs and of JSON text
                are dotted (``"validation.loss"``). None, or none at all, for all rows with all their keys. Columns
                that nobody asks for are not read.
            page_size: Taken for the sake of scripts written for wandb; files are read in their row groups.
            min_step: First step, inclusive. Row groups without a step in the range are not read.
            max_step: Step to stop at, exclusive; None for the end.

        Returns:
            An iterator over dicts, which ``iter()`` starts over.

        Raises:
            HistoryDecodeError: While iterating, where a file is damaged; every row before has been delivered.
        """
        if isinstance(keys, str) or (keys is not None and not all(isinstance(key, str) for key in keys)):
            raise ValueError(f"keys must be a list of strings, not {keys!r}")
        return ParquetScan(
            self._sources,
            keys=keys,
            min_step=min_step,
            stop_step=UNBOUNDED if max_step is None else max_step,
            path=self.file,
        )

    def _pages(self) -> Iterator[Page | list[Any]]:
        return self.scan_history()._pages()

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=str(self.file))

    def _stream(self, keys: Sequence[str] | None = None, nested: str = "json", threads: int | None = None) -> Any:
        return self.scan_history()._stream(keys, nested, threads)

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> Any:
        return self.scan_history()._batch_stream(keys, nested, rows)

    def __repr__(self) -> str:
        return f"<ParquetRun {'/'.join(part for part in self.path if part)} in {str(self.file)!r}>"


class ParquetScan(RowScan, ColumnExports):
    """Iterates over the rows of Parquet files; made by `ParquetRun.scan_history`.

    A page is what row groups have before the first step of the next one.

    Args:
        sources: The files, in order.
        keys: Only rows that have all of these, and of them only these; None for all rows as they are.
        min_step: First step of the scan, inclusive.
        stop_step: Step to stop at, exclusive; `UNBOUNDED` for the end.
        path: What the history is called in errors.

    Attributes:
        path: What the history is called in errors.
        size: About how many bytes there are to read.
        bytes_read: About how many of them have been read.
    """

    def __init__(
        self,
        sources: Sequence[ParquetSource],
        *,
        keys: Iterable[str] | None = None,
        min_step: int = 0,
        stop_step: int = UNBOUNDED,
        path: Path,
    ) -> None:
        self.path = path
        self.keys = None if keys is None else list(keys)
        self._sources = sources
        super().__init__(min_step, stop_step)

    @cached_property
    def size(self) -> int:
        """About how many bytes there are to read: files are taken to be as dense everywhere."""
        return sum(
            _share(source, group)
            for source in self._sources
            for group in source.groups
            if group.first_step < self._stop_step and group.last_step >= self.min_step
        )

    def _start_over(self) -> None:
        super()._start_over()
        self.bytes_read = 0
        keys = self.keys or None
        self._page_source = PageStream(self._read_pages(keys=keys, watch=self._note_read))

    def _note_read(self, source: ParquetSource, group: RowGroup) -> None:
        self.bytes_read += _share(source, group)

    def _read_pages(self, **options: Any) -> Iterator[Any]:
        return read_pages(
            self._sources,
            required=self.keys or (),
            min_step=self.min_step,
            stop_step=self._stop_step,
            **options,
        )

    def _load_next(self) -> None:
        page = self._page_source.take()
        if page is None:
            self.page_offset = self._stop_step
            self._take_rows([])
        else:
            self._take_page(page)

    def _anew(self) -> ParquetScan:
        """The same scan with a state of its own."""
        return ParquetScan(
            self._sources, keys=self.keys, min_step=self.min_step, stop_step=self._stop_step, path=self.path
        )

    def _pages(self) -> Iterator[Page | list[Any]]:
        # A scan of its own for every pass: rows and columns, and several readers, keep out of each other's way.
        return super(ParquetScan, self._anew())._pages()

    def _column_keys(self, keys: Sequence[str] | None) -> Sequence[str] | None:
        return super()._column_keys(self.keys or None if keys is None else keys)

    def _plan(self, keys: Sequence[str] | None, nested: str, rows: int = 1) -> ColumnPlan:
        wanted, flatten = self._column_keys(keys), self._flatten(nested, rows)
        return ColumnPlan(self._sources, self._read_pages, keys=wanted, flatten=flatten)

    def _stream(
        self,
        keys: Sequence[str] | None = None,
        nested: str = "json",
        threads: int | None = None,  # noqa: ARG002 - pyarrow has threads of its own
    ) -> Any:
        plan = self._plan(keys, nested)
        try:
            return plan.table()
        except HistoryDecodeError as error:
            self._add_location(error)
            raise

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> Any:
        return TableStream(self._plan(keys, nested, rows), rows)

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=str(self.path))


def _share(source: ParquetSource, group: RowGroup) -> int:
    """How many of a file's bytes a row group is taken to have."""
    return source.size * group.rows // max(source.rows, 1)


def _refuse_several(names: set[str], where: object) -> None:
    """Raises if files are those of several runs."""
    if len(names) > 1:
        shown = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise HistoryError(f"the Parquet files of {str(where)!r} are those of {len(names)} runs ({shown}): name one's")
