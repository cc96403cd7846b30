"""Reads the logs of one run, one file or the segments of a resumed run, as one history."""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histscan._core.pages.log_page import LogPage
from histscan._core.pages.log_reader import LogReader
from histscan.common.quiet import quiet, warn_of_file
from histscan.errors import HistoryError, LogOverlapWarning
from histscan.runs.file_scan import ReadProgress
from histscan.runs.log_ends import read_last_exit_code
from histscan.runs.log_heads import RUN_FIELD, read_head, read_run_record
from histscan.runs.log_pages import read_pages
from histscan.runs.log_survey import SURVEY_FIELDS, LogSurvey, SurveyReducer

if TYPE_CHECKING:
    from histscan.runs.log_facts import LogFacts

__all__ = ["LogSegments"]


class LogSegments:
    """The logs of one run, in the order in which they were started.

    A step that several logs have belongs to the last of them: the run was resumed from before it, and logged it again.

    Args:
        files: The logs; at least one.
        path: What errors call them together.
        skip_corrupt: Skip corrupt parts with a warning, instead of raising there.
        records: The run record of each log; None to find them when they are needed, or in a pass before.

    Attributes:
        wants_survey: Let the next pass over everything make the survey, too.
        wants_facts: Let it read the facts, too.
    """

    def __init__(
        self,
        files: Sequence[Path],
        path: Path,
        *,
        skip_corrupt: bool = False,
        records: Sequence[Any] | None = None,
    ) -> None:
        self.files = tuple(files)
        self.path = path
        self.skip_corrupt = skip_corrupt
        self.wants_survey = False
        self.wants_facts = False
        # Each is a message, or its bytes if a pass has found it and nothing has asked for it, or None if it is unknown.
        self._records: list[Any] = [None] * len(self.files) if records is None else list(records)
        # Each with the version of the files that it applies to.
        self._steps: tuple[object, list[array[int] | None]] | None = None
        self._ascending: tuple[object, bool] | None = None
        self._survey: tuple[object, LogSurvey] | None = None
        self._facts: tuple[object, LogFacts] | None = None
        self._exit_code: tuple[object, int | None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may be loaded in another folder.
        return self.__dict__ | {"files": tuple(file.absolute() for file in self.files), "path": self.path.absolute()}

    def record(self, place: int) -> Any:
        """Returns the first ``RunRecord`` of a log, which later ones repeat; an empty one if the log has none yet.

        Args:
            place: The index of the log.

        Raises:
            HistoryDecodeError: The record is malformed.
            LogFormatError: The file is empty, or not a wandb log.
            OSError: The file can't be read.
        """
        record = self._records[place]
        if record is None:
            record = read_head(self.files[place], skip_corrupt=self.skip_corrupt).record
            if not record.ByteSize():
                # The log has none yet, but may get one.
                return record
        elif isinstance(record, bytes):
            with _named(self.files[place]):
                record = read_run_record(record)
        self._records[place] = record
        return record

    def survey(self) -> LogSurvey:
        """Returns what a pass over the present contents of the logs finds; makes the pass unless another one has.

        Raises:
            LogFormatError: A file is empty, not a wandb log, or damaged compressed data.
            HistoryError: A file beside the logs has unexpected contents.
            OSError: A file can't be read.
        """
        found = self._survey
        if found is None or found[0] != self.version():
            self.wants_survey = self.wants_facts = True
            with quiet():  # the scan warns
                for _ in self.read_pages():
                    pass
            found = self._survey
            assert found is not None
        found[1].read_files(self.files)
        return found[1]

    def facts(self) -> LogFacts:
        """Returns the description of the run in the present contents of the logs; reads them unless a pass has.

        Raises:
            LogFormatError: A file is not a log.
            OSError: A file can't be read.
        """
        from histscan.runs.log_facts import read_facts

        version = self.version()
        if self._facts is None or self._facts[0] != version:
            self._facts = version, read_facts(self.files, skip_corrupt=self.skip_corrupt)
        return self._facts[1]

    def exit_code(self) -> int | None:
        """Returns the exit code of the run; reads only the end of the last log if that has it.

        Raises:
            LogFormatError: A file is not a log.
            OSError: A file can't be read.
        """
        version = self.version()
        if self._facts is None or self._facts[0] != version:
            if self._exit_code is None or self._exit_code[0] != version:
                self._exit_code = version, read_last_exit_code(self.files[-1])
            if self._exit_code[1] is not None:
                return self._exit_code[1]
        return self.facts().exit_code

    def version(self) -> tuple[tuple[int, int, int], ...]:
        """Returns the version of the files: it is equal as long as they are unchanged.

        Returns:
            For each file its inode, size in bytes and time of modification in nanoseconds.

        Raises:
            OSError: The status of a file can't be read.
        """
        return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in map(os.stat, self.files))

    def sizes(self) -> tuple[int, ...]:
        """Returns each file's present size in bytes.

        Raises:
            OSError: The status of a file can't be read.
        """
        return tuple(file.stat().st_size for file in self.files)

    def read_pages(
        self,
        limits: Sequence[int] | None = None,
        progress: ReadProgress | None = None,
    ) -> Generator[LogPage, None, None]:
        """Reads the logs one after the other, without rows that a later log replaces.

        Args:
            limits: Bytes to read of each file; None for all.
            progress: Counts the bytes that were read.

        Yields:
            The records of each window of a file.

        Raises:
            HistoryError: A file has become shorter; every row that could be read was yielded.
            LogFormatError: A file is empty, not a wandb log, or damaged compressed data.
            OSError: A file can't be read.

        Warns:
            LogOverlapWarning: Rows were left out because a later log has the same steps.
            LogCorruptWarning, LogStepWarning, LogTruncatedWarning: As for the function `read_pages`.
        """
        version = self.version()
        survey = SurveyReducer() if self.wants_survey and (self._survey is None or self._survey[0] != version) else None
        facts = self._start_facts(version)
        is_ascending = True
        later_steps = self._find_repeated_steps() if len(self.files) > 1 else [None]
        has_repeats = any(steps is not None for steps in later_steps)
        last_step = -1
        dropped = 0
        lowest = highest = 0
        for place, file in enumerate(self.files):
            if survey is not None:
                survey.begin_log()
            if facts is not None:
                facts.begin_log()
            reader = LogReader(self.skip_corrupt, fields=_fields(facts), last_step=last_step)
            limit = None if limits is None else limits[place]
            later = [steps for steps in later_steps[place + 1 :] if steps is not None] if has_repeats else []
            # Steps of a log that has become shorter since they were found would leave rows of others out.
            for page in read_pages(file, reader, limit, progress, least=version[place][1], checks_rows=True):
                if self._records[place] is None:
                    for message in page.records(RUN_FIELD)[:1]:
                        self._records[place] = message
                if facts is not None:
                    facts.add_page(page)
                span = page.step_range() if later else None
                for steps in later:
                    if span is None or steps[-1] < span[0] or span[1] < steps[0]:
                        continue
                    count = page.drop_steps(steps)
                    if count:
                        first, last = max(span[0], steps[0]), min(span[1], steps[-1])
                        lowest, highest = (min(lowest, first), max(highest, last)) if dropped else (first, last)
                        dropped += count
                        span = page.step_range()
                if survey is not None:
                    with _named(file):
                        survey.add_page(page)
                yield page
            if facts is not None:
                facts.add_metadata_file(file)
            last_step = reader.last_step
            is_ascending = is_ascending and reader.is_ascending
        if limits is None or tuple(limits) == tuple(size for _, size, _ in version):
            self._ascending = version, is_ascending
            if survey is not None:
                self._survey = version, survey.result()
            if facts is not None:
                self._facts = version, facts
        if dropped:
            warn_of_file(
                f"{self.path}: {dropped} row{'s were' if dropped > 1 else ' was'} logged again when the run was "
                f"resumed (within steps {lowest} to {highest}): those of the later log are used",
                LogOverlapWarning,
                stacklevel=2,
            )

    def _start_facts(self, version: object) -> LogFacts | None:
        """Returns facts to be found in a pass; None unless they are wanted and unknown."""
        if not self.wants_facts or (self._facts is not None and self._facts[0] == version):
            return None
        from histscan.runs.log_facts import LogFacts

        return LogFacts()

    def is_ascending(self) -> bool:
        """Returns True if the steps are known to never decrease from row to row.

        That is known once the logs have been read to their end, until they change.
        """
        return self._ascending == (self.version(), True)

    def _find_repeated_steps(self) -> list[array[int] | None]:
        """Returns the distinct steps of each log, ascending; None for a log that no earlier log overlaps."""
        version = self.version()
        if self._steps is None or self._steps[0] != version:
            self._steps = version, list(self._read_steps())
        return self._steps[1]

    def _read_steps(self) -> Iterator[array[int] | None]:
        last_step = -1
        highest: int | None = None
        for file in self.files:
            reader = LogReader(self.skip_corrupt, last_step=last_step)
            logged: array[int] = array("q")
            with quiet(), contextlib.suppress(HistoryError):
                for page in read_pages(file, reader, checks_rows=True):
                    page.add_steps_to(logged)
            last_step = reader.last_step
            if logged and highest is not None and min(logged) <= highest:
                yield array("q", sorted(set(logged)))
            else:
                yield None
            if logged:
                highest = max(logged) if highest is None else max(highest, *logged)


@contextlib.contextmanager
def _named(file: Path) -> Iterator[None]:
    """Names a log in errors of a ``with`` block."""
    try:
        yield
    except HistoryError as error:
        error.add_location(run=str(file))
        raise


def _fields(facts: LogFacts | None) -> Sequence[int] | None:
    """Returns the kinds of records that a pass needs; None for those of history, summary, config, run and exit."""
    if facts is None:
        return None
    from histscan.runs.log_facts import FACT_FIELDS

    return (*SURVEY_FIELDS, *FACT_FIELDS)
