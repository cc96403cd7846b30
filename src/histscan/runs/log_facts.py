"""Reads the description of a run from the other records of its logs: exit code, program, axes of metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import DecodeError, Message

from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.common.quiet import quiet
from histscan.errors import HistoryDecodeError
from histscan.runs.log_pages import read_pages

if TYPE_CHECKING:
    from histscan import proto

__all__ = ["FACT_FIELDS", "LogFacts", "iso_time", "moment", "read_facts"]

# The numbers of fields in wandb's `Record`.
_HISTORY, _TELEMETRY, _METRIC, _RUN, _EXIT, _HEADER, _ENVIRONMENT = 2, 11, 12, 17, 18, 21, 26

FACT_FIELDS = (_HISTORY, _TELEMETRY, _METRIC, _RUN, _EXIT, _HEADER, _ENVIRONMENT)
"""The kinds of records that `LogFacts` reads: a `LogReader` must keep them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RUNTIME = "_runtime"

# Names that wandb before 0.18 uses in `wandb-metadata.json`.
_OLD_NAMES = {
    "startedAt": "started_at",
    "codePath": "code_path",
    "gpu": "gpu_type",
    "gpuCount": "gpu_count",
    "cpuCount": "cpu_count",
    "cpuCountLogical": "cpu_count_logical",
    "cuda": "cuda_version",
    "cudaVersion": "cuda_version",
}
_PLAIN_NAMES = (
    "os",
    "python",
    "docker",
    "args",
    "program",
    "code_path",
    "colab",
    "cpu_count",
    "cpu_count_logical",
    "gpu_type",
    "gpu_count",
    "cuda_version",
)
_METADATA_FILE = Path("files", "wandb-metadata.json")

_Record = TypeVar("_Record", bound=Message)


@dataclass
class LogFacts:
    """The description of a run, from the records of its logs other than rows, config and summary.

    Attributes:
        exit_code: The exit code of the run; None if it has not ended, or was killed.
        duration: The run's duration in seconds, up to its last row if it has not ended; None if unknown.
        wandb_version: The release of wandb that recorded the run; empty if unknown.
        axes: The x-axis of each metric that was defined with one; patterns such as ``"val/*"`` are kept unchanged.
        metadata: Program, arguments and so on, with the names of ``wandb-metadata.json``. Nothing in it names the
            machine or its user.
    """

    exit_code: int | None = None
    duration: float | None = None
    wandb_version: str = ""
    axes: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def begin_log(self) -> None:
        """Begins with the next log of the run: the last one decides how the run ended."""
        self.exit_code = None

    def add_page(self, page: LogPage) -> None:
        """Adds the records of a page. Malformed records are ignored.

        Args:
            page: A page of a reader that keeps `FACT_FIELDS`.
        """
        from histscan import proto

        for header in _parse(page, _HEADER, proto.HeaderRecord):
            # wandb-core appends the commit that it was built from.
            self.wandb_version = self.wandb_version or header.version_info.producer.partition("+")[0]
        for run in _parse(page, _RUN, proto.RunRecord):
            self._add_telemetry(run.telemetry)
            self._add_git(run.git)
        for telemetry in _parse(page, _TELEMETRY, proto.TelemetryRecord):
            self._add_telemetry(telemetry)
        for environment in _parse(page, _ENVIRONMENT, proto.EnvironmentRecord):
            self._add_environment(environment)
        for metric in _parse(page, _METRIC, proto.MetricRecord):
            self._add_metric(metric)
        if len(page):
            self._add_last_row(page)
        for ended in _parse(page, _EXIT, proto.RunExitRecord):
            if not ended.not_complete:
                self.exit_code = int(ended.exit_code)
            self._note_duration(float(ended.runtime) or None)

    def add_metadata_file(self, log: Path) -> None:
        """Adds what only the metadata file beside a log has: wandb before 0.18 does not log it.

        Args:
            log: The log.
        """
        try:
            found = json.loads((log.parent / _METADATA_FILE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        renamed = {_OLD_NAMES.get(name, name): value for name, value in found.items()}
        git = renamed.get("git")
        if isinstance(git, dict):
            renamed["git"] = {"remote_url" if name == "remote" else name: value for name, value in git.items()}
        for name in (*_PLAIN_NAMES, "started_at", "git"):
            if renamed.get(name):
                self.metadata.setdefault(name, renamed[name])

    def _add_telemetry(self, telemetry: proto.TelemetryRecord) -> None:
        if telemetry.cli_version:
            self.wandb_version = telemetry.cli_version
        if telemetry.python_version:
            self.metadata.setdefault("python", telemetry.python_version)

    def _add_environment(self, environment: proto.EnvironmentRecord) -> None:
        for name in _PLAIN_NAMES:
            value = getattr(environment, name)
            if value:
                self.metadata[name] = list(value) if name == "args" else value
        if environment.HasField("started_at"):
            self.metadata["started_at"] = iso_time(environment.started_at, precise=True)
        self._add_git(environment.git)

    def _add_git(self, git: proto.GitRepoRecord) -> None:
        told = {name: value for name in ("remote_url", "commit") if (value := getattr(git, name))}
        if told:
            self.metadata["git"] = {**self.metadata.get("git", {}), **told}

    def _add_metric(self, metric: proto.MetricRecord) -> None:
        name = metric.name or metric.glob_name
        if metric.step_metric:
            self.axes[name] = metric.step_metric
        elif metric._control.overwrite:
            self.axes.pop(name, None)

    def _add_last_row(self, page: LogPage) -> None:
        try:
            row = page.row(len(page) - 1)
        except HistoryDecodeError:
            return
        self._note_duration(row.get(_RUNTIME))

    def _note_duration(self, seconds: Any) -> None:
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < float("inf"):
            self.duration = max(self.duration or 0.0, float(seconds))


def read_facts(logs: Sequence[Path], *, skip_corrupt: bool = False) -> LogFacts:
    """Reads logs to their end, without decoding their rows.

    Args:
        logs: The logs of one run, in order.
        skip_corrupt: Continue after corrupt parts, instead of stopping there.

    Returns:
        The description of their run.

    Raises:
        LogFormatError: A file is not a log.
        OSError: A file can't be read.
    """
    facts = LogFacts()
    with quiet():  # scans give the same warnings
        for log in logs:
            facts.begin_log()
            for page in read_pages(log, LogReader(skip_corrupt, fields=FACT_FIELDS), checks_rows=True):
                facts.add_page(page)
            facts.add_metadata_file(log)
    return facts


def moment(timestamp: proto.Timestamp) -> datetime | None:
    """Converts a protobuf timestamp to a time.

    Args:
        timestamp: The timestamp.

    Returns:
        The time in UTC, to the microsecond; None if it is not set, or out of the range of `datetime`.
    """
    if not timestamp.seconds and not timestamp.nanos:
        return None
    try:
        return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1_000)
    except OverflowError:
        return None


def iso_time(timestamp: proto.Timestamp, *, precise: bool = False) -> str:
    """Writes a protobuf timestamp as W&B's API writes times: ``2026-01-31T12:00:00Z``.

    Args:
        timestamp: The timestamp.
        precise: True to include fractions of a second, if there are any.

    Returns:
        The time; empty if it is not set.
    """
    found = moment(timestamp)
    if found is None:
        return ""
    return f"{(found if precise else found.replace(microsecond=0)).replace(tzinfo=None).isoformat()}Z"


def _parse(page: LogPage, field_number: int, record: type[_Record]) -> list[_Record]:
    found = []
    for message in page.records(field_number):
        try:
            found.append(record.FromString(message))
        except DecodeError:
            continue
    return found
