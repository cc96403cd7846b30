"""Runs: what has a history, whatever it is stored in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from histscan._core.log_reader import LogReader
from histscan._core.summary_reducer import SummaryReducer
from histscan.errors import HistoryError, LogCorruptWarning, LogTruncatedWarning
from histscan.frames import ColumnExports
from histscan.log_scan import UNBOUNDED, LogScan, read_pages
from histscan.sources.wandb_log import find_log

if TYPE_CHECKING:
    from histscan._core.arrow_stream import ArrowStream
    from histscan._core.page import Page

__all__ = ["LogRun"]

# The numbers of fields in wandb's `Record`.
_SUMMARY_FIELD = 3
_CONFIG_FIELD = 5
_RUN_FIELD = 17


@dataclass
class _Survey:
    """What one pass over a log tells of its run."""

    size: int
    modified: int
    last_step: int = -1
    rows: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


class LogRun(ColumnExports):
    """A run recorded in a ``.wandb`` file, with the names that ``wandb.Api().run()`` gives things.

    The file is only ever read. One that is still being written is welcome: every look at it sees what is there.

    Args:
        path: The ``.wandb`` file, or the folder of one run.
        on_corrupt: ``"raise"`` ends at corrupt bytes with an error; ``"skip"`` warns and goes on at the next block.

    Attributes:
        file: The ``.wandb`` file.

    Raises:
        FileNotFoundError: There is no such file, or no log in the folder.
        HistoryError: The folder holds several runs.
        LogFormatError: The file is empty, or no wandb log.
    """

    def __init__(self, path: str | os.PathLike[str], *, on_corrupt: str = "raise") -> None:
        if on_corrupt not in ("raise", "skip"):
            raise ValueError(f"on_corrupt is 'raise' or 'skip', not {on_corrupt!r}")
        self.file = find_log(path)
        self._skip_corrupt = on_corrupt == "skip"
        self._surveyed: _Survey | None = None
        # Read at once, so that a foreign file is refused here and not at the first row.
        _ = self._record

    @cached_property
    def _record(self) -> Any:
        """The run record; the first one, which the later ones repeat."""
        from histscan.proto import RunRecord

        reader = LogReader(skip_corrupt=self._skip_corrupt)
        with warnings.catch_warnings():
            # The scan will warn; opening a run twice over should not.
            warnings.simplefilter("ignore", LogTruncatedWarning)
            warnings.simplefilter("ignore", LogCorruptWarning)
            try:
                for page in read_pages(self.file, reader):
                    for message in page.records(_RUN_FIELD):
                        return RunRecord.FromString(message)
            except HistoryError as error:
                error.add_location(run=str(self.file))
                raise
        return RunRecord()

    @property
    def _survey(self) -> _Survey:
        """What a pass over the whole log tells; made again when the file has changed."""
        status = self.file.stat()
        survey = self._surveyed
        if survey is None or (survey.size, survey.modified) != (status.st_size, status.st_mtime_ns):
            survey = self._surveyed = self._make_survey(status)
        return survey

    def _make_survey(self, status: os.stat_result) -> _Survey:
        survey = _Survey(status.st_size, status.st_mtime_ns)
        config, summary = SummaryReducer(), SummaryReducer()
        config.add(self._record.config)
        summary.add(self._record.summary)
        reader = LogReader(skip_corrupt=self._skip_corrupt)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LogTruncatedWarning)
            warnings.simplefilter("ignore", LogCorruptWarning)
            for page in read_pages(self.file, reader):
                config.add_page(page, _CONFIG_FIELD)
                summary.add_page(page, _SUMMARY_FIELD)
                survey.rows += len(page)
                steps = page.steps()
                if steps is not None:
                    survey.last_step = max(survey.last_step, steps[1])
        survey.config = config.values()
        survey.config.pop("_wandb", None)
        survey.summary = summary.values()
        return survey

    @property
    def entity(self) -> str:
        """The user or team that the run belongs to; empty if it was recorded without one."""
        return str(self._record.entity)

    @property
    def project(self) -> str:
        """The project's name; empty if the run was recorded without one."""
        return str(self._record.project)

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self._record.run_id)

    @property
    def name(self) -> str:
        """The run's display name; its id if it was given none."""
        return str(self._record.display_name) or self.id

    @property
    def group(self) -> str:
        """The run's group; empty if it has none."""
        return str(self._record.run_group)

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none."""
        return str(self._record.job_type)

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none."""
        return str(self._record.notes)

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return list(self._record.tags)

    @property
    def path(self) -> list[str]:
        """Entity, project and id, as ``wandb.Api().run().path`` has them."""
        return [self.entity, self.project, self.id]

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration as it was last set, without wandb's own entry ``_wandb``."""
        return self._survey.config

    @property
    def summary(self) -> dict[str, Any]:
        """The run's summary as it was last set."""
        return self._survey.summary

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - wandb's name
        """The highest step of the history so far; -1 without rows."""
        return self._survey.last_step

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,  # noqa: ARG002 - a log is read in windows of bytes
        min_step: int = 0,
        max_step: int | None = None,
    ) -> LogScan:
        """Scans the history, row by row, in the order it was logged.

        Args:
            keys: Only rows that have all of these keys, and of them only these; nested ones are dotted
                (``"validation.loss"``). None, or none at all, for all rows with all their keys.
            page_size: Taken for the sake of scripts written for wandb; a log has no pages to size.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end of the log.

        Returns:
            An iterator over dicts, which ``iter()`` starts over. Nested keys are nested dicts.

        Raises:
            LogFormatError: While iterating, at corrupt bytes; every row before them has been delivered.
        """
        if isinstance(keys, str) or (keys is not None and not all(isinstance(key, str) for key in keys)):
            raise ValueError(f"keys must be a list of strings, not {keys!r}")
        return LogScan(
            self.file,
            keys=keys,
            min_step=min_step,
            stop_step=UNBOUNDED if max_step is None else max_step,
            skip_corrupt=self._skip_corrupt,
            size=self.file.stat().st_size,
        )

    def _pages(self) -> Iterator[Page | list[Any]]:
        return self.scan_history()._pages()

    def _add_location(self, error: HistoryError) -> None:
        error.add_location(run=str(self.file))

    def _batch_stream(self, keys: Sequence[str] | None, nested: str, rows: int) -> ArrowStream:
        return self.scan_history()._batch_stream(keys, nested, rows)

    def __repr__(self) -> str:
        return f"<LogRun {'/'.join(part for part in self.path if part)} in {str(self.file)!r}>"
