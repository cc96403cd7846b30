"""The contracts of runs: what every run has, whatever its history is stored in, and what many runs have.

A source of runs defines who the run is (`Run.entity`, `Run.project`, `Run.id`), `Run.config`, `Run.summary`,
`Run.lastHistoryStep` and `Run.scan_history`, and of the other properties those that it knows. Frames, `Run.history`,
`Run.keys`, ``repr()`` and pickling follow from these. The contract of scans is `histscan.columns.scan.Scan`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from histscan.columns.frames import Frames
from histscan.columns.options import ColumnOptions
from histscan.columns.scan import Scan
from histscan.columns.threads import build_chunks_in_threads
from histscan.common.keys import check_keys
from histscan.common.quiet import quiet
from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.runs.sampling import sample_rows

if TYPE_CHECKING:
    import pandas as pandas_module
    from typing_extensions import Self

    from histscan.runs.console import ConsoleLine
    from histscan.runs.file_scan import FileScan

__all__ = ["STREAMS", "FileRun", "Paths", "Run", "Runs", "in_order"]

STREAMS = ("default", "system", "events")
"""What ``history(stream=…)`` takes: the metrics that were logged, or those of the machine, under either name."""

_Run_co = TypeVar("_Run_co", bound="Run", covariant=True)


class Run(Frames, ABC):
    """A run: what has a history. Its names are those of ``wandb.Api().run()``; nothing is ever written to it.

    Frames (`to_arrow` and its like) are those of the whole history.
    """

    # Who it is

    @property
    @abstractmethod
    def entity(self) -> str:
        """The user or team that the run belongs to; empty if unknown."""

    @property
    @abstractmethod
    def project(self) -> str:
        """The project's name; empty if unknown."""

    @property
    @abstractmethod
    def id(self) -> str:
        """The run's id."""

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the run's page, for a browser; empty if unknown."""

    # What describes it

    @property
    def name(self) -> str:
        """The run's display name; its id if it was given none."""
        return self.id

    @property
    def state(self) -> str:
        """``"running"``, ``"finished"``, ``"failed"``, ``"crashed"`` or another word; empty if unknown."""
        return ""

    @property
    def exit_code(self) -> int | None:
        """What the run ended with, 0 for success; None if it has not ended, or if that is unknown."""
        return None

    @property
    def created_at(self) -> str:
        """When the run was started, in UTC: ``"2026-01-31T12:00:00Z"``; empty if unknown."""
        return ""

    @property
    def heartbeat_at(self) -> str:
        """When the run was last heard of, written as `created_at`; empty if unknown."""
        return ""

    @property
    def duration(self) -> float | None:
        """Seconds that the run took, or has taken until its last row; None if unknown."""
        return None

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return []

    @property
    def group(self) -> str:
        """The run's group; empty if it has none."""
        return ""

    @property
    def job_type(self) -> str:
        """The run's job type; empty if it has none."""
        return ""

    @property
    def notes(self) -> str:
        """The run's notes; empty if it has none."""
        return ""

    @property
    def wandb_version(self) -> str:
        """The release of wandb that recorded the run; empty if unknown."""
        return ""

    @property
    def axes(self) -> dict[str, str]:
        """The x-axis of each metric that ``define_metric`` gave one."""
        return {}

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What ran and where, by the names of ``wandb-metadata.json``; None if unknown."""
        return None

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The run's configuration, without what wandb keeps there for itself."""

    @property
    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The run's summary."""

    # Its history

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
            keys: Only rows that have all of these keys, and of them only these; nested ones are dotted
                (``"validation.loss"``). None, or none at all, for all rows with all their keys.
            page_size: Steps of a request, of runs on a server; other sources ignore it.
            min_step: First step, inclusive.
            max_step: Step to stop at, exclusive; None for the end.

        Returns:
            An iterator over dicts, which ``iter()`` starts over. It has the frame methods, too.

        Raises:
            HistoryError: Also while iterating: a page or a row can't be read; every row before has been delivered.
        """

    def keys(self) -> list[str]:
        """Finds the keys of the history; nested ones are dotted.

        Returns:
            The step first, then the others by name.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        scan = self.scan_history()
        found: set[str] = set()
        try:
            with quiet():
                for chunk in build_chunks_in_threads(scan.pages(), keys=None, flatten=True):
                    found.update(chunk.names)
        except HistoryError as error:
            scan.add_location(error)
            raise
        return in_order(found)

    def history(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = STEP,
        pandas: bool = True,
        stream: str = "default",
    ) -> pandas_module.DataFrame | list[dict[str, Any]]:
        """Reads some rows of the history, spread evenly over it.

        Args:
            samples: The most rows to take.
            keys: Only rows that have all of these keys, and of them only these with `x_axis`; None for all.
            x_axis: A key that rows of `keys` must have, too.
            pandas: Whether to make a frame of the rows.
            stream: ``"default"`` for what was logged, ``"system"`` for the machine's metrics.

        Returns:
            A ``pandas.DataFrame``, or a list of dicts.

        Raises:
            HistoryError: A page or a row can't be read.
            ImportError: A frame is wanted, and pandas is not installed.
        """
        wanted = check_keys(keys)
        if samples < 1:
            raise ValueError(f"samples must be at least 1, but is {samples}")
        if stream not in STREAMS:
            raise ValueError(f"stream is 'default' or 'system', not {stream!r}")
        if stream != "default" and wanted:
            raise ValueError("keys are those of the default stream: pass them to system_metrics(keys) instead")
        make_frame = _frame_maker() if pandas else list
        if stream != "default":
            return make_frame(self.sample_system_metrics(samples))
        return make_frame(self.sample_history(samples, list(dict.fromkeys([x_axis, *wanted])) if wanted else None))

    def sample_history(self, samples: int, keys: list[str] | None) -> list[dict[str, Any]]:
        """Reads some rows of the history, the first and the last one among them.

        Args:
            samples: The most rows to take.
            keys: As for `scan_history`.

        Returns:
            The rows.

        Raises:
            HistoryError: A page or a row can't be read.
        """
        return _sample(self.scan_history(keys), samples)

    # What was recorded beside it

    @abstractmethod
    def system_metrics(self, keys: list[str] | None = None) -> Scan:
        """Scans the metrics of the machine, which wandb takes every few seconds beside the history.

        Args:
            keys: Only rows that have all of these keys (``"system.cpu"``), and of them only these. None for all.

        Returns:
            An iterator over dicts, which ``iter()`` starts over. It has the frame methods, too.
        """

    def sample_system_metrics(self, samples: int) -> list[dict[str, Any]]:
        """Reads some rows of the system metrics.

        Args:
            samples: The most rows to take.

        Returns:
            The rows.
        """
        return _sample(self.system_metrics(), samples)

    @abstractmethod
    def console(self, *, raw: bool = False) -> Iterator[ConsoleLine]:
        """Reads what the program printed.

        Args:
            raw: Yield the output as it was written, with line breaks and escape sequences, instead of lines as a
                terminal shows them in the end.

        Yields:
            Lines, each with its stream and time.
        """

    # As wandb's runs have it

    def load(self, force: bool = False) -> None:
        """Asks for all that describes the run, unless that was done; a file is read whenever it is needed.

        Args:
            force: Ask in any case.
        """

    def refresh(self) -> None:
        """Asks again for all that describes the run; a file that has changed is read again by itself."""

    # Columns

    def column_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.column_stream`."""
        return self.scan_history().column_stream(options)

    def batch_stream(self, options: ColumnOptions) -> Any:
        """See `Frames.batch_stream`."""
        return self.scan_history().batch_stream(options)

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the run is: a path, or a server's address."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'/'.join(part for part in self.path if part)} {self.location}>"

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may be read in another folder.
        return {name: _absolute(value) for name, value in self.__dict__.items()}


Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A path, or several of one run."""


class FileRun(Run):
    """A run in files. They are only ever read.

    Args:
        path: The file; or what else the source takes.

    Attributes:
        file: The file; of several, the folder that they are in.
        files: The files.
    """

    file: Path
    files: list[Path]

    @abstractmethod
    def __init__(self, path: Paths) -> None: ...

    @classmethod
    def open_files(cls, path: Paths, *, on_corrupt: str) -> Self:
        """Opens a run for `histscan.open`.

        Args:
            path: As for the class.
            on_corrupt: As for `histscan.open`; for sources that can skip damage.

        Returns:
            The run.
        """
        del on_corrupt
        return cls(path)

    @abstractmethod
    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int = 0,
        max_step: int | None = None,
    ) -> FileScan:
        """See `Run.scan_history`."""

    @property
    def url(self) -> str:
        """The address that the run's page has on the W&B server in use; empty if entity or project are not known."""
        from histscan.sources.credentials import find_base_url
        from histscan.sources.servers import run_url

        return run_url(find_base_url(None, allow_http=True), self.path) if all(self.path) else ""

    @property
    def location(self) -> str:
        """Where the run is: the path."""
        return f"in {str(self.file)!r}"


class Runs(Protocol[_Run_co]):
    """Many runs, which are found as they are needed."""

    def __iter__(self) -> Iterator[_Run_co]:
        """Yields each run."""

    def __len__(self) -> int:
        """How many runs there are."""

    def filter(self, filters: Mapping[str, Any]) -> Self:
        """Chooses some of the runs.

        Args:
            filters: What the runs must be like, in MongoDB's language, as for `histscan.Api.runs`.

        Returns:
            The runs that are like that.
        """


def in_order(keys: set[str]) -> list[str]:
    """Puts keys in the order in which `Run.keys` has them: the step first, then the others by name.

    Args:
        keys: The keys.
    """
    return sorted(keys, key=lambda key: (key != STEP, key))


def _sample(scan: Scan, samples: int) -> list[dict[str, Any]]:
    try:
        with quiet():  # the second pass warns
            count = sum(map(len, scan.pages()))
        return sample_rows(scan.pages(), count, samples)
    except HistoryError as error:
        scan.add_location(error)
        raise


def _frame_maker() -> Any:
    """Returns what makes a frame of rows."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "history() makes a pandas frame: pip install 'histscan[pandas]', or pass pandas=False"
        ) from error
    return pandas.DataFrame.from_records


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    return value.absolute() if isinstance(value, Path) else value
