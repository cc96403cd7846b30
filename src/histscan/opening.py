"""Opening a run, whatever it is stored in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, overload

from histscan.runs.registry import source_of

if TYPE_CHECKING:
    from histscan.runs.contracts import FileRun, Run

__all__ = ["open_run"]


@overload
def open_run(path: os.PathLike[str] | list[str | os.PathLike[str]], *, on_corrupt: str = "raise") -> FileRun: ...


@overload
def open_run(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, on_corrupt: str = "raise") -> Run: ...


def open_run(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, on_corrupt: str = "raise") -> Run:
    """Opens a recorded or exported run, or one on a server; ``histscan.open`` is this function.

    Args:
        path: A ``.wandb`` file, or the folder of one run (``wandb/offline-run-…``); or the segments of a resumed one,
            as a list, a pattern (``"wandb/run-*-h465zmzw"``) or a folder of their folders. Or the Parquet files that
            a history was exported to: a ``.parquet`` file, a folder of them, a pattern (``"history/*.parquet"``), or
            a list of these. Or a JSON Lines file (``.jsonl``, ``.ndjson``, also with ``.gz`` or ``.zst``), each line a
            row, as ``histscan export`` and other tools write them. Or the name of a run on a W&B server,
            ``"entity/project/run_id"``, or the address of its page in a browser, if no such file is there. The server
            and the API key are those that wandb would use; `histscan.Api` takes others.
        on_corrupt: What to do in a damaged log: ``"raise"`` ends a scan there with an error; ``"skip"`` warns and
            goes on.

    Returns:
        The run.

    Raises:
        FileNotFoundError: There is no such file, or none in the folder.
        HistoryError: The folder holds several runs; or the server gives no answer; or the address is on another server
            than the API key is meant for.
        ImportError: The files are Parquet, and pyarrow is not installed.
        LogFormatError: The file is empty, or no wandb log.
        RunNotFoundError: There is neither such a file nor such a run on the server.
        ValueError: The address is that of a project, or of no run.
    """
    if isinstance(path, str) and not os.path.lexists(path):
        from histscan.api.open_by_name import open_by_name

        found = open_by_name(path)
        if found is not None:
            return found
    if not isinstance(path, str | os.PathLike):
        path = list(path)
    source = source_of([Path(item) for item in (path if isinstance(path, list) else [path])])
    return source.run_class().open_files(path, on_corrupt=on_corrupt)
