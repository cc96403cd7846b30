"""What a pass over the logs of a run finds beside the rows: the config, the summary and the last step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histscan._core.pages.log_page import LogPage
from histscan._core.rows.summary_reducer import SummaryReducer
from histscan.runs.log_heads import RUN_FIELD, read_run_record
from histscan.runs.run_folder import read_config_file, read_summary_file

__all__ = ["SURVEY_FIELDS", "LogSurvey", "SurveyReducer"]

# The numbers of fields in wandb's `Record`.
_HISTORY_FIELD, _SUMMARY_FIELD, _CONFIG_FIELD = 2, 3, 5

SURVEY_FIELDS = (_HISTORY_FIELD, _SUMMARY_FIELD, _CONFIG_FIELD, RUN_FIELD)
"""The kinds of records that `SurveyReducer` reads: a `LogReader` must keep them."""


@dataclass
class LogSurvey:
    """The config, the summary and the last step of a run.

    Attributes:
        last_step: The highest step; -1 without rows.
        config: The configuration as it was last set, without wandb's own entry ``_wandb``.
        summary: The summary as it was last set.
        config_file: The file that `config` was read from, if the logs have no configuration; else None.
        summary_file: The file that `summary` was read from, if the logs have no summary; else None.
    """

    last_step: int
    config: dict[str, Any]
    summary: dict[str, Any]
    config_file: Path | None = None
    summary_file: Path | None = None
    _has_read_files: bool = False

    def read_files(self, logs: Sequence[Path]) -> None:
        """Reads what the logs do not have from the files beside them, unless that was done before.

        Args:
            logs: The logs.

        Raises:
            HistoryError: A file can't be read, or has unexpected contents.
        """
        if self._has_read_files:
            return
        # The last log has the latest files; it may have none if it was killed at once.
        for log in reversed(logs):
            if not self.config:
                self.config, self.config_file = read_config_file(log)
            if not self.summary:
                self.summary, self.summary_file = read_summary_file(log)
        self._has_read_files = True


class SurveyReducer:
    """Makes the survey of a run from the pages of its logs."""

    def __init__(self) -> None:
        self._last_step = -1
        self._config = SummaryReducer()
        self._summary = SummaryReducer()
        self._has_record = False

    def begin_log(self) -> None:
        """Begins with the next log of the run."""
        self._has_record = False

    def add_page(self, page: LogPage) -> None:
        """Adds the records of a page.

        Args:
            page: The page.
        """
        if not self._has_record:
            # What the log was started with. Later run records repeat it, and must not undo changes.
            for message in page.records(RUN_FIELD)[:1]:
                record = read_run_record(message)
                self._config.add(record.config)
                self._summary.add(record.summary)
                self._has_record = True
        self._config.add_page(page, _CONFIG_FIELD)
        self._summary.add_page(page, _SUMMARY_FIELD)
        steps = page.step_range()
        if steps is not None:
            self._last_step = max(self._last_step, steps[1])

    def result(self) -> LogSurvey:
        """Returns the survey, without what is in the files beside the logs."""
        survey = LogSurvey(self._last_step, self._config.values(), self._summary.values())
        survey.config.pop("_wandb", None)
        return survey
