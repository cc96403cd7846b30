"""open() and open_runs(): open a run or many runs, whatever they are stored in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from histscan.errors import HistoryError
from histscan.many.mirrors.state import is_mirror
from histscan.runs.registry import source_of

if TYPE_CHECKING:
    from histscan.many.local_runs import RunPaths
    from histscan.many.runs import Runs
    from histscan.runs.contracts import Run
    from histscan.runs.file_run import FileRun

__all__ = ["open_run", "open_runs"]


@overload
def open_run(path: os.PathLike[str] | list[str | os.PathLike[str]], *, on_corrupt: str = "raise") -> FileRun: ...


@overload
def open_run(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, on_corrupt: str = "raise") -> Run: ...


def open_run(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, on_corrupt: str = "raise") -> Run:
    """Opens a recorded or exported run, or one on a server; ``histscan.open`` is this function.

    Args:
        path: One of these. A ``.wandb`` file, or the folder of one run (``wandb/offline-run-…``). The segments of a
            resumed run: a list, a pattern (``"wandb/run-*-h465zmzw"``), or a folder of their folders. Exported Parquet
            files: a ``.parquet`` file, a folder of them, a pattern (``"history/*.parquet"``), or a list of these. A
            JSON Lines file (``.jsonl``, ``.ndjson``, also with ``.gz`` or ``.zst``) with a row per line, as
            ``histscan export`` and other tools write them. If there is no such file: a run on a W&B server, as
            ``"entity/project/run_id"`` or the URL of its page. The server and the API key are those that wandb would
            use; `histscan.Api` takes others.
        on_corrupt: What to do at corrupt bytes of a log: ``"raise"`` stops the scan with an error; ``"skip"`` warns and
            continues.

    Returns:
        The run.

    Raises:
        FileNotFoundError: There is no such file, or none in the folder.
        HistoryError: The folder has several runs; or the server does not answer; or the URL is on another server than
            the one that the API key belongs to.
        ImportError: The files are Parquet, and pyarrow is not installed.
        LogFormatError: The file is empty, or not a wandb log.
        RunNotFoundError: There is neither such a file nor such a run on the server.
        ValueError: The URL is not that of a run.
    """
    if isinstance(path, str) and not os.path.lexists(path):
        from histscan.api.open_by_name import open_by_name

        found = open_by_name(path)
        if found is not None:
            return found
    if not isinstance(path, str | os.PathLike):
        path = list(path)
    elif is_mirror(path):
        return _open_only_run(path)
    source = source_of([Path(item) for item in (path if isinstance(path, list) else [path])])
    return source.run_class().open_files(path, on_corrupt=on_corrupt)


def _open_only_run(mirror: str | os.PathLike[str]) -> FileRun:
    """Opens the run of a mirror that has one."""
    from histscan.many.local_runs import find_local_runs

    runs = find_local_runs(mirror)
    if len(runs) != 1:
        name = repr(os.fspath(mirror))
        raise HistoryError(
            f"{name} is a mirror of {len(runs):,} runs: pass one of its history/*.parquet files, or read all of them "
            f"with histscan.open_runs({name})"
        )
    return runs[0]


def open_runs(
    where: RunPaths,
    *,
    filters: Mapping[str, Any] | None = None,
    order: str | None = None,
    on_corrupt: str = "raise",
) -> Runs[Any]:
    """Opens many runs: those in a folder, or those of a project on a server.

    Nothing is read before it is needed: 10,000 logs are opened without reading them.

    Args:
        where: One of these. A folder, which is searched recursively; a pattern (``"wandb/run-2026*"``); or a list of
            folders, files and patterns: ``.wandb`` logs (those of a resumed run are one run), and Parquet histories.
            If there is no such file: a project on a W&B server, ``"entity/project"``; a sweep,
            ``"entity/project/sweep_id"``; or the URL of the page of either. The server and the API key are those that
            wandb would use; `histscan.Api.runs` takes others.
        filters: Only the runs that meet these conditions, in MongoDB's query language; see `Runs.filter`. None for
            all runs.
        order: What to sort the runs by, as for `Runs.sort`. None for the order of paths, or on a server for the
            order of creation.
        on_corrupt: As for `open_run`; ignored for runs on a server.

    Returns:
        The runs.

    Raises:
        FileNotFoundError: There is no such file, or none in the folder.
        FilterError: A condition is invalid, or there is no field to sort by.
        HistoryError: A file can't be read, or the URL is on another server.
        ValueError: The URL is not that of a project or a sweep.
    """
    if isinstance(where, str) and not os.path.lexists(where):
        from histscan.api.open_by_name import open_runs_by_name

        found = open_runs_by_name(where, filters, order)
        if found is not None:
            return found
    from histscan.many.local_runs import find_local_runs

    runs: Runs[Any] = find_local_runs(where, on_corrupt=on_corrupt)
    if filters:
        runs = runs.filter(filters)
    return runs if order is None else runs.sort(order)
