"""Runs recorded in ``.wandb`` logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan.common.keys import check_keys
from histscan.common.steps import UNBOUNDED
from histscan.runs.log_heads import begins_as_log, order_segments, read_head
from histscan.runs.log_members import LogMembers
from histscan.runs.log_scan import LogScan
from histscan.runs.log_segments import LogSegments
from histscan.runs.log_survey import LogSurvey
from histscan.sources.wandb_log import common_folder, find_logs

if TYPE_CHECKING:
    from typing_extensions import Self

    from histscan.runs.file_run import Paths

__all__ = ["LogRun"]


class LogRun(LogMembers):
    """A run recorded in a ``.wandb`` file, with the names that ``wandb.Api().run()`` gives things.

    The files are never written to. They may still be growing: each access sees their present contents. Threads and
    forked processes may share a run. A pickle of it has the absolute paths of the files.

    A run that was resumed has several logs, its segments. They are one history, in the order of their start. If
    several logs have rows of the same step, those of the last log replace the others, and a warning says how many.

    Args:
        path: The ``.wandb`` file (or ``.wandb.gz``, ``.wandb.zst``), or the folder of one run. Or the segments of one
            run: a list of these, a pattern (``"wandb/run-*-h465zmzw"``), or a folder of such folders.
        on_corrupt: ``"raise"`` stops at corrupt bytes with an error; ``"skip"`` warns and continues at the next block.

    Attributes:
        file: The log; for several, the folder that has them.
        files: The logs, in the order of their start.

    Raises:
        FileNotFoundError: There is no such file, or no log in the folder.
        HistoryError: The logs belong to several runs.
        LogFormatError: A file is empty, or not a wandb log.
        ValueError: `on_corrupt` is neither of the two.
    """

    def __init__(self, path: Paths, *, on_corrupt: str = "raise") -> None:
        skip_corrupt = _is_skip(on_corrupt)
        logs = find_logs(path)
        if len(logs) == 1 and begins_as_log(logs[0]):
            # The run record is read when it is needed; reading the rows finds it, too.
            self._set_logs(LogSegments(logs, logs[0], skip_corrupt=skip_corrupt))
            return
        # Read now, so that other files are rejected here and not at the first row.
        heads = order_segments([read_head(log, skip_corrupt=skip_corrupt) for log in logs], path)
        files = [head.file for head in heads]
        folder = files[0] if len(files) == 1 else common_folder(files)
        records = [head.record for head in heads]
        self._set_logs(LogSegments(files, folder, skip_corrupt=skip_corrupt, records=records))

    @classmethod
    def open_files(cls, path: Paths, *, on_corrupt: str) -> Self:
        """See `FileRun.open_files`."""
        return cls(path, on_corrupt=on_corrupt)

    @classmethod
    def open_found(cls, files: Sequence[Path], *, on_corrupt: str) -> Self:
        """See `FileRun.open_found`: a single log is not read yet."""
        if len(files) > 1:
            return cls(list(files), on_corrupt=on_corrupt)
        run = cls.__new__(cls)
        run._set_logs(LogSegments(files, files[0], skip_corrupt=_is_skip(on_corrupt)))
        return run

    def _set_logs(self, segments: LogSegments) -> None:
        self.file = segments.path
        self.files = list(segments.files)
        self._skip_corrupt = segments.skip_corrupt
        self._segments = segments

    @property
    def _record(self) -> Any:
        # Names and tags may change when a run is resumed: the last record is valid.
        return self._segments.record(-1)

    @property
    def _first_record(self) -> Any:
        return self._segments.record(0)

    @property
    def _survey(self) -> LogSurvey:
        """The result of a pass over all logs; repeated after they have changed."""
        return self._segments.survey()

    def expect_config(self) -> None:
        """See `Run.expect_config`."""
        self._segments.wants_survey = True

    def expect_facts(self) -> None:
        """See `Run.expect_facts`."""
        self._segments.wants_facts = True

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
        """The run's display name; its id if it has none."""
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
    def sweep_id(self) -> str:
        """The id of the sweep that started the run; empty without one."""
        return str(self._record.sweep_id)

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none."""
        return str(self._record.notes)

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return list(self._record.tags)

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration as it was last set, without wandb's own entry ``_wandb``.

        If the log has none, it comes from ``files/config.yaml`` beside the log; see `config_file`.
        """
        return self._survey.config

    @property
    def summary(self) -> dict[str, Any]:
        """The run's summary as it was last set.

        If the log has none, as with some killed runs, it comes from ``files/wandb-summary.json`` beside the log; see
        `summary_file`.
        """
        return self._survey.summary

    @property
    def config_file(self) -> Path | None:
        """The file that `config` was read from, if the log has no configuration; else None."""
        return self._survey.config_file

    @property
    def summary_file(self) -> Path | None:
        """The file that `summary` was read from, if the log has no summary; else None."""
        return self._survey.summary_file

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
            keys: Only rows that have all of these keys, and only these keys; nested keys are dotted
                (``"validation.loss"``). None or an empty list for all rows with all keys.
            page_size: Ignored; accepted for scripts written for wandb.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end of the log.

        Returns:
            An iterator over dicts, which ``iter()`` restarts. Nested keys are nested dicts.

        Raises:
            LogFormatError: While iterating, at corrupt bytes; every row before them has been returned.
        """
        stop_step = UNBOUNDED if max_step is None else max_step
        return LogScan(self._segments, keys=check_keys(keys), min_step=min_step, stop_step=stop_step)


def _is_skip(on_corrupt: str) -> bool:
    if on_corrupt not in ("raise", "skip"):
        raise ValueError(f"on_corrupt must be 'raise' or 'skip', not {on_corrupt!r}")
    return on_corrupt == "skip"
