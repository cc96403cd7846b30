"""The members of a run in a ``.wandb`` log other than history, config and summary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from histscan.common.keys import check_keys
from histscan.runs.file_run import FileRun
from histscan.runs.run_state import run_state

if TYPE_CHECKING:
    from histscan.runs.console import ConsoleLine
    from histscan.runs.log_facts import LogFacts
    from histscan.runs.log_segments import LogSegments
    from histscan.runs.system_metrics import SystemMetricsScan

__all__ = ["LogMembers"]


class LogMembers(FileRun):
    """The members of a run that come from a log's other records; `histscan.LogRun` has the others."""

    if TYPE_CHECKING:
        _skip_corrupt: bool
        _first_record: Any
        _segments: LogSegments

    @property
    def _facts(self) -> LogFacts:
        """The description of the run; read again after a file has changed."""
        return self._segments.facts()

    @property
    def state(self) -> str:
        """``"finished"`` or ``"failed"`` if the run has ended; else ``"running"``, or ``"crashed"`` after silence.

        A log is silent if nothing was written to it for five minutes.
        """
        return run_state(self.exit_code, self.files[-1].stat().st_mtime)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the run, 0 for success; None if it has not ended, or was killed.

        Of a large log, it is read from the last blocks if the run's end is there, so `state` is too.
        """
        return self._segments.exit_code()

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if unknown."""
        return self._facts.wandb_version

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC, as W&B's API writes it: ``"2026-01-31T12:00:00Z"``; empty if unknown."""
        from histscan.runs.log_facts import iso_time

        return iso_time(self._first_record.start_time)

    @property
    def heartbeat_at(self) -> str:
        """When the log was last written to, written as `created_at`."""
        written = datetime.fromtimestamp(self.files[-1].stat().st_mtime, timezone.utc)
        return f"{written.replace(microsecond=0, tzinfo=None).isoformat()}Z"

    @property
    def duration(self) -> float | None:
        """The run's duration in seconds, up to its last row if it has not ended; None if unknown."""
        return self._facts.duration

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one, including patterns such as ``"val/*"``."""
        return dict(self._facts.axes)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Program, arguments, Python, git, GPUs and so on, with the names of ``wandb-metadata.json``; None if unknown.

        Names of the machine and its user are left out.
        """
        return dict(self._facts.metadata) or None

    def system_metrics(self, keys: list[str] | None = None) -> SystemMetricsScan:
        """Scans the metrics of the machine, which wandb records every few seconds.

        Args:
            keys: Only rows that have all of these keys (``"system.cpu"``), and only these keys. None for all.

        Returns:
            An iterator over dicts, which ``iter()`` restarts. It has the frame methods, too.

        Raises:
            HistoryDecodeError: While iterating, at corrupt bytes; every row before them has been returned.
        """
        from histscan.runs.log_streams import read_system_metrics
        from histscan.runs.system_metrics import SystemMetricsScan

        wanted = list(dict.fromkeys(check_keys(keys) or ())) or None
        read = partial(read_system_metrics, self.files, keys=wanted, skip_corrupt=self._skip_corrupt)
        return SystemMetricsScan(read, wanted, str(self.file))

    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:
        r"""Reads what the program printed, if wandb captured it.

        Args:
            raw: Yield pieces of output as they were written, with line breaks, ``\r`` and escape sequences, instead of
                the lines that a terminal finally shows: the last state of a progress bar, without colours.

        Yields:
            Lines, each with its stream and time. Lines of one stream keep their order.

        Raises:
            HistoryDecodeError: At corrupt bytes; the output before them has been returned.
        """
        from histscan.runs.console import terminal_lines
        from histscan.runs.log_streams import read_output

        for log in self.files:
            pieces = read_output(log, skip_corrupt=self._skip_corrupt)
            yield from pieces if raw else terminal_lines(pieces)
