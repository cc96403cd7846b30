"""Opening a run, whatever it is stored in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from histscan.run import LogRun
from histscan.sources.parquet_files import means_parquet

if TYPE_CHECKING:
    from histscan.parquet_run import ParquetRun

__all__ = ["open_run"]


def open_run(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, on_corrupt: str = "raise"
) -> LogRun | ParquetRun:
    """Opens a recorded or exported run; ``histscan.open`` is this function.

    Args:
        path: A ``.wandb`` file, or the folder of one run (``wandb/offline-run-…``). Or the Parquet files that a
            history was exported to: a ``.parquet`` file, a folder of them, a pattern (``"history/*.parquet"``), or a
            list of these.
        on_corrupt: What to do in a damaged log: ``"raise"`` ends a scan there with an error; ``"skip"`` warns and
            goes on.

    Returns:
        The run.

    Raises:
        FileNotFoundError: There is no such file, or none in the folder.
        HistoryError: The folder holds several runs.
        ImportError: The files are Parquet, and pyarrow is not installed.
        LogFormatError: The file is empty, or no wandb log.
    """
    if isinstance(path, str | os.PathLike) and not means_parquet(Path(path)):
        return LogRun(path, on_corrupt=on_corrupt)
    from histscan.parquet_run import ParquetRun

    return ParquetRun(path)
