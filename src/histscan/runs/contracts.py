"""The contract of runs: the members of every run, whatever its history is stored in.

A source of runs defines `Run.lastHistoryStep`, `Run.scan_history`, and what a run says of itself
(`histscan.runs.run_facts.RunFacts`): its names, `config`, `summary`, and those of the other facts that it knows.
Frames, `Run.history`, `Run.keys`, ``repr()`` and pickling follow from these. The contract of runs in files is
`histscan.runs.file_run.FileRun`, that of scans `histscan.columns.scan.Scan`, and that of collections of runs
`histscan.many.runs.Runs`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from histscan.columns.frames import FileSource
from histscan.columns.options import ColumnOptions, Keys, Nested
from histscan.columns.scan import Scan
from histscan.common.install_hint import install_hint
from histscan.common.key_info import KeyInfo, KeyPatterns, choose_keys
from histscan.common.key_patterns import KeyChoice
from histscan.common.near_keys import check_known
from histscan.common.printable import printable
from histscan.common.quiet import quiet
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.runs.plots import Plots
from histscan.runs.run_facts import RunFacts, path_text
from histscan.runs.sampling import sample_rows

if TYPE_CHECKING:
    import pandas as pandas_module
    import polars

    from histscan.columns.typed_columns import TypedHistory
    from histscan.runs.console import ConsoleLine
    from histscan.runs.run_html import Preview
    from histscan.sources.source_option import SourceOption

__all__ = ["STREAMS", "Run", "StreamName"]

StreamName = Literal["default", "system", "events"]
STREAMS: tuple[str, ...] = get_args(StreamName)
"""Values of ``history(stream=…)``: the logged metrics, or the machine's metrics under either of two names."""


class Run(RunFacts, Plots):
    """A run, read-only, with the names of ``wandb.Api().run()``.

    The frame methods (`to_arrow` and so on) read the whole history.
    """

    # History

    @property
    def row_count(self) -> int | None:
        """The number of rows of the history when the run was listed; None if unknown."""
        return None

    @property
    def has_step_index(self) -> bool:
        """True if rows are stored by their steps, so that the last ones can be read without the others."""
        return False

    @property
    @abstractmethod
    def lastHistoryStep(self) -> int:  # noqa: N802 - wandb's name
        """The highest step of the history so far; -1 without rows."""

    @abstractmethod
    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int = 0,
        max_step: int | None = None,
    ) -> Scan:
        """Scans the history, row by row.

        Args:
            keys: Only rows that have all of these keys, and only these keys; nested keys are dotted
                (``"validation.loss"``). None or an empty list for all rows with all keys.
            page_size: Steps per request, for runs on a server; other sources ignore it.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end.

        Returns:
            An iterator over dicts, which ``iter()`` restarts. It has the frame methods, too.

        Raises:
            HistoryError: A page or a row can't be read. While iterating, every row before it has been returned.
        """

    def scan_steps(self, min_step: int, max_step: int | None, source: SourceOption | None) -> Scan:
        """See `Plots.scan_steps`."""
        if source is not None:
            raise ValueError(f"source applies to runs on a server, and this run is {self.location}: leave it out")
        return self.scan_history(min_step=min_step, max_step=max_step)

    def keys(self, pattern: KeyPatterns | None = None) -> list[KeyInfo]:
        """Finds the keys of the history; nested ones are dotted.

        Args:
            pattern: Only these keys: a glob (``"val/*"``), a compiled regular expression, or several; None for all.

        Returns:
            The step first, then the other keys by name. Each is a text, the key, with the attributes ``type`` and
            ``count`` (of its values), as in ``histscan.open_runs(…).keys()``.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return choose_keys(self._find_keys(), pattern)

    def _find_keys(self) -> list[KeyInfo]:
        """Finds all keys, in order."""
        return self.scan_history().count_keys()

    def _choose(self, options: ColumnOptions) -> ColumnOptions:
        """Lets the options of a frame find keys by those of the run."""
        return replace(options, find_known=self.keys)

    @overload
    def history(
        self,
        samples: int = 500,
        keys: Sequence[str | re.Pattern[str]] | None = None,
        x_axis: str = STEP,
        pandas: Literal[True] = True,
        stream: StreamName = "default",
    ) -> pandas_module.DataFrame: ...

    @overload
    def history(
        self,
        samples: int = 500,
        keys: Sequence[str | re.Pattern[str]] | None = None,
        x_axis: str = STEP,
        *,
        pandas: Literal[False],
        stream: StreamName = "default",
    ) -> list[dict[str, Any]]: ...

    @overload
    def history(
        self,
        samples: int,
        keys: Sequence[str | re.Pattern[str]] | None,
        x_axis: str,
        pandas: Literal[False],
        stream: StreamName = "default",
    ) -> list[dict[str, Any]]: ...

    @overload
    def history(
        self,
        samples: int = 500,
        keys: Sequence[str | re.Pattern[str]] | None = None,
        x_axis: str = STEP,
        pandas: bool = True,
        stream: StreamName = "default",
    ) -> pandas_module.DataFrame | list[dict[str, Any]]: ...

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str | re.Pattern[str]] | None = None,
        x_axis: str = STEP,
        pandas: bool = True,
        stream: StreamName = "default",
    ) -> pandas_module.DataFrame | list[dict[str, Any]]:
        """Reads rows that are spread evenly over the history.

        Args:
            samples: The largest number of rows.
            keys: Only rows that have all of these keys, and only these keys and `x_axis`; None for all. Globs
                (``"val/*"``) and compiled regular expressions choose several keys.
            x_axis: A key that rows must also have if `keys` are given.
            pandas: True for a frame, False for a list.
            stream: ``"default"`` for the logged metrics, ``"system"`` or ``"events"`` for those of the machine.

        Returns:
            A ``pandas.DataFrame``, or a list of dicts.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: `pandas` is True, and pandas is not installed.
            UnknownKeyError: The run has no such key.
            ValueError: An argument is out of its range, or `keys` are given for the machine's metrics.
        """
        choice = KeyChoice.of(keys)
        if samples < 1:
            raise ValueError(f"samples must be at least 1, not {samples}")
        if stream not in STREAMS:
            raise ValueError(f"stream must be one of {', '.join(map(repr, STREAMS))}, not {stream!r}")
        if stream != "default" and choice is not None and choice.items:
            raise ValueError(
                "history() takes keys of the default stream only: for system metrics, use system_metrics(keys)"
            )
        make_frame = _frame_maker() if pandas else list
        if stream != "default":
            return make_frame(self.sample_system_metrics(samples))
        if choice is None or not choice.items:
            return make_frame(self.sample_history(samples, None))
        wanted = choice.names
        if wanted is None:
            known = self.keys()
            check_known(choice.items, known)
            wanted = choice.select(known)
        rows = self.sample_history(samples, list(dict.fromkeys([x_axis, *wanted])))
        if not rows:
            check_known(wanted, self.keys())
        return make_frame(rows)

    def sample_history(self, samples: int, keys: list[str] | None) -> list[dict[str, Any]]:
        """Reads rows that are spread evenly over the history, including the first and the last.

        Args:
            samples: The largest number of rows.
            keys: As for `scan_history`.

        Returns:
            The rows.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return _sample(self.scan_history(keys), samples)

    def preview(self) -> Preview:
        """Returns rows that take little time to read, for `_repr_html_`.

        Raises:
            HistoryError: They can't be read; also while iterating over them.
        """
        from histscan.runs.run_html import Preview

        return Preview(self.scan_history(), "all of the history")

    @property
    def preview_bytes(self) -> int:
        """The bytes of files that `preview` reads; 0 for a request."""
        return self.history_bytes

    # System metrics and console output

    @abstractmethod
    def system_metrics(self, keys: list[str] | None = None) -> Scan:
        """Scans the metrics of the machine, which wandb records every few seconds.

        Args:
            keys: Only rows that have all of these keys (``"system.cpu"``), and only these keys. None for all.

        Returns:
            An iterator over dicts, which ``iter()`` restarts. It has the frame methods, too.
        """

    def sample_system_metrics(self, samples: int) -> list[dict[str, Any]]:
        """Reads rows that are spread evenly over the system metrics.

        Args:
            samples: The largest number of rows.

        Returns:
            The rows.
        """
        return _sample(self.system_metrics(), samples)

    @abstractmethod
    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:
        """Reads what the program printed.

        Args:
            raw: Yield the output as it was written, with line breaks and escape sequences, instead of the lines that a
                terminal finally shows.

        Yields:
            Lines, each with its stream and time.
        """

    # For compatibility with wandb's runs

    def load(self, force: bool = False) -> None:
        """Requests the description of the run, unless it is known. Does nothing for files, which are read when needed.

        Args:
            force: Request it in any case.
        """

    def refresh(self) -> None:
        """Requests the description of the run again. Does nothing for files, whose changes are noticed."""

    # Columns

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        return self.scan_history().column_stream(self._choose(options))

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        return self.scan_history().batch_stream(self._choose(options))

    def file_source(self, options: ColumnOptions) -> FileSource:
        """See `Frames.file_source`. The file describes the run."""
        from histscan.runs.run_metadata import run_metadata

        return FileSource(self.scan_history(), self._choose(options), run_metadata(self))

    def key_type_flags(self) -> dict[str, int] | None:
        """Finds the types of the keys' columns without reading rows.

        Returns:
            The type flags of each key, as in ``column_types``; None if they are unknown before all rows are read.

        Raises:
            HistoryError: The types can't be requested.
        """
        return None

    @property
    def seen_stop_step(self) -> int | None:
        """The step after the last one that a server has reported so far; None if unknown, and for files."""
        return None

    @property
    def history_bytes(self) -> int:
        """The approximate number of bytes of the history: of its files, or of a server's answers; 0 if unknown."""
        return 0

    def split_steps(self, parts: int) -> list[int]:
        """Finds steps at which the history can be split into parts of about the same size.

        Args:
            parts: The number of parts.

        Returns:
            The first step of each part but the first. There may be fewer parts.

        Raises:
            HistoryError: The history can't be read.
        """
        stop = self.seen_stop_step
        stop = self.lastHistoryStep + 1 if stop is None else stop
        return sorted({stop * part // parts for part in range(1, parts)})

    def typed_history(self, options: ColumnOptions, declared: Mapping[str, str]) -> TypedHistory:
        """Returns the history as columns whose types are known before the rows are read.

        Args:
            options: The columns.
            declared: The formats of columns that need not be found.
        """
        from histscan.runs.typed_history import SurveyedHistory

        return SurveyedHistory(self, options, declared)

    # Lazy frames

    def scan_polars(
        self,
        keys: Keys | None = None,
        *,
        nested: Nested = "json",
        types: Mapping[str, str] | None = None,
        with_step: bool = True,
    ) -> polars.LazyFrame:
        """Makes a lazy frame, which reads what a query needs when it is collected.

        Only the columns of the query are made, and only the steps are read that its filters on ``_step`` can select.

        The types of the columns are those of `to_polars`. Logs and JSON Lines files are read once to find them; a
        Parquet file has them in its schema. A server tells the types of keys without rows, but not which numbers are
        integers: numbers other than ``_step`` are ``Float64`` then, nested keys are columns with dotted names, and
        lists are JSON text.

        Files are read as they were when the lazy frame was first used: make a new one to see later rows.

        Args:
            keys: As for `to_arrow`.
            nested: As for `to_arrow`.
            with_step: As for `to_arrow`.
            types: The types of keys that the caller knows: ``"bool"``, ``"int64"``, ``"uint64"``, ``"float64"``,
                ``"string"`` or ``"json"``. If all `keys` have one, no pass over the rows is needed.

        Returns:
            A ``polars.LazyFrame``.

        Raises:
            ImportError: polars is not installed, or older than 1.25.
            ValueError: There is no such type. A query that meets a value that does not fit its column raises a
                `HistoryError`.
        """
        from histscan.columns.lazy_frames import RunFrames, make_lazy_frame
        from histscan.columns.typed_columns import formats_of_types

        options = self._choose(ColumnOptions.of(keys, nested, with_step=with_step))
        if options.choice is not None:
            options = options.choose()
        history = self.typed_history(options, formats_of_types(types))
        return make_lazy_frame(RunFrames(history), path_text(self))

    def expect_config(self) -> None:
        """Announces that `config` is read after the history, so that one pass over the files can find both."""

    def expect_facts(self) -> None:
        """Announces that state, axes and metadata are read after the history, likewise."""

    @property
    @abstractmethod
    def location(self) -> str:
        """The path of the run, or the address of its server, for ``repr()``."""

    def __repr__(self) -> str:
        parts = type(self).__name__, printable(path_text(self)), printable(self.location)
        return f"<{' '.join(filter(None, parts))}>"

    def _repr_html_(self) -> str:
        from histscan.runs.run_html import run_html

        return run_html(self)

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may be loaded in another folder.
        return {name: _absolute(value) for name, value in self.__dict__.items()}


def _sample(scan: Scan, samples: int) -> list[dict[str, Any]]:
    try:
        with quiet():  # the second pass warns
            count = sum(map(len, scan.pages()))
        return sample_rows(scan.pages(), count, samples)
    except HistoryError as error:
        scan.add_location(error)
        raise


def _frame_maker() -> Any:
    """Returns the function that makes a pandas frame of rows."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"history() needs pandas: {install_hint('pandas')}, or pass pandas=False for a list of rows"
        ) from error
    return pandas.DataFrame.from_records


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    return value.absolute() if isinstance(value, Path) else value
