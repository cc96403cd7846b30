"""What every run in files has, so that scripts written for runs on a server work with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histscan.errors import HistoryError
from histscan.runs.log_segments import quiet
from histscan.runs.sampling import sample_rows

if TYPE_CHECKING:
    import pandas as pandas_module

__all__ = ["STREAMS", "RecordedRun", "frame_of", "is_system"]

STREAMS = ("default", "system", "events")
"""What ``history(stream=…)`` takes: the metrics that were logged, or those of the machine, under either name."""


class RecordedRun:
    """The members that follow from a run's other members; mixed into the classes of runs in files."""

    if TYPE_CHECKING:
        path: Any
        scan_history: Any
        system_metrics: Any
        _add_location: Any

    @property
    def url(self) -> str:
        """The address that the run's page has on the W&B server in use; empty if entity or project are not known."""
        from histscan.sources.credentials import find_base_url
        from histscan.sources.servers import run_url

        return run_url(find_base_url(None, allow_http=True), self.path) if all(self.path) else ""

    def load(self, force: bool = False) -> None:
        """Does nothing: a file is read whenever something is asked of it. Runs on a server have this method.

        Args:
            force: As there.
        """

    def refresh(self) -> None:
        """Does nothing: a file that has changed is read again by itself. Runs on a server have this method."""

    def history(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> pandas_module.DataFrame | list[dict[str, Any]]:
        """Reads some rows of the history, spread evenly over it; the first and the last one are among them.

        Args:
            samples: The most rows to take.
            keys: Only rows that have all of these keys, and of them only these with `x_axis`; None for all.
            x_axis: A key that rows of `keys` must have, too.
            pandas: Whether to make a frame of the rows.
            stream: ``"default"`` for what was logged, ``"system"`` for the machine's metrics.

        Returns:
            A ``pandas.DataFrame``, or a list of dicts.

        Raises:
            HistoryError: A row can't be read.
            ImportError: A frame is wanted, and pandas is not installed.
        """
        make_frame = frame_of(pandas)
        if isinstance(keys, str) or (keys is not None and not all(isinstance(key, str) for key in keys)):
            raise ValueError(f"keys must be a list of strings, not {keys!r}")
        if samples < 1:
            raise ValueError(f"samples must be at least 1, but is {samples}")
        if is_system(stream, keys):
            scan: Any = self.system_metrics()
        else:
            scan = self.scan_history([x_axis, *(key for key in keys if key != x_axis)] if keys else None)
        try:
            with quiet():  # the second pass warns
                count = sum(map(len, scan._pages()))
            return make_frame(sample_rows(scan._pages(), count, samples))
        except HistoryError as error:
            self._add_location(error)
            raise


def is_system(stream: str, keys: list[str] | None) -> bool:
    """Checks the stream that ``history()`` was asked for.

    Args:
        stream: The stream.
        keys: The keys asked for.

    Returns:
        True if it is that of system metrics.

    Raises:
        ValueError: There is no such stream, or it can't be asked for by keys.
    """
    if stream not in STREAMS:
        raise ValueError(f"stream is 'default' or 'system', not {stream!r}")
    if stream != "default" and keys:
        raise ValueError("keys are those of the default stream: pass them to system_metrics(keys) instead")
    return stream != "default"


def frame_of(pandas: bool) -> Any:
    """Finds what makes the result of ``history()`` of rows.

    Args:
        pandas: Whether it is a frame.

    Returns:
        A function of a list of rows.

    Raises:
        ImportError: It is a frame, and pandas is not installed.
    """
    if not pandas:
        return list
    try:
        import pandas as pandas_module
    except ImportError as error:
        raise ImportError(
            "history() makes a pandas frame: pip install 'histscan[pandas]', or pass pandas=False"
        ) from error
    return pandas_module.DataFrame.from_records
