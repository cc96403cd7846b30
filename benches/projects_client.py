"""Read all runs of a project, and print the time, or a digest of what was read."""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

_LOG_KEYS = ["_step", "train/loss_00", "train/accuracy_01"]


def stock_frame(api: Any, project: str) -> Any:
    """Reads all rows with wandb, as its users do."""
    import pandas

    frames = []
    for run in api.runs(project):
        frame = pandas.DataFrame(run.scan_history())
        frame.insert(0, "run_id", run.id)
        frames.append(frame)
    return pandas.concat(frames)


def stock_table(api: Any, project: str) -> Any:
    """Describes all runs with wandb, as its users do."""
    import pandas

    rows = []
    # Without the argument, each run's config is a request of its own.
    for run in api.runs(project, lazy=False):
        config = {f"config.{key}": value for key, value in run.config.items()}
        summary = {f"summary.{key}": value for key, value in run.summary._json_dict.items()}
        rows.append({"id": run.id, "state": run.state} | config | summary)
    return pandas.DataFrame(rows)


def looped_logs(folder: str) -> Any:
    """Reads some keys of all logs in a folder, one after the other."""
    import pyarrow

    import histscan

    tables = []
    for log in sorted(Path(folder).glob("*/*.wandb")):
        run = histscan.open(log)
        table = run.to_arrow(_LOG_KEYS)
        tables.append(table.append_column("run_id", pyarrow.array([run.id] * len(table))))
    return pyarrow.concat_tables(tables)


def parsed_logs(folder: str) -> Any:
    """Reads and parses the bytes of all logs in a folder, and makes columns of some keys: what any reader has to do."""
    import pyarrow

    from histscan._core.arrow.arrow_stream import ArrowStream
    from histscan._core.columns.column_builder import ColumnBuilder
    from histscan._core.columns.column_types import merge_columns
    from histscan._core.pages.log_reader import LogReader

    builder = ColumnBuilder(_LOG_KEYS)
    chunks = []
    for log in sorted(Path(folder).glob("*/*.wandb")):
        with open(log, "rb", buffering=0) as file:
            builder.add_page(LogReader().read_window(file.read(), True))
        if builder.is_full:
            chunks.append(builder.take_chunk())
    chunks.append(builder.take_chunk())
    return pyarrow.table(ArrowStream(merge_columns(chunks), chunks))


def one_log(folder: Path) -> Path:
    """Returns the path of the one log with the rows of all logs in a folder.

    Args:
        folder: The folder.
    """
    return folder.with_name(f"{folder.name}-one.wandb")


def reader(what: str, way: str, where: str) -> Callable[[], Any]:
    """Prepares a reader: opens its connection and triggers slow imports before the clock starts.

    Args:
        what: What to make.
        way: ``"ours"``, or a peer of `benches.projects.Project`.
        where: The project, or the folder of logs.

    Returns:
        The function that reads.
    """
    if what == "logs":
        import pyarrow  # noqa: F401

        import histscan

        histscan.open(next(Path(where).glob("*/*.wandb"))).to_arrow(_LOG_KEYS)
        if way == "loop":
            return lambda: looped_logs(where)
        if way == "bytes":
            return lambda: parsed_logs(where)
        if way == "one":
            return lambda: histscan.open(one_log(Path(where))).to_arrow(_LOG_KEYS)
        histscan.open_runs(next(Path(where).glob("*/*.wandb"))).to_arrow(_LOG_KEYS)
        return lambda: histscan.open_runs(where).to_arrow(_LOG_KEYS)
    if way == "wandb":
        import pandas  # noqa: F401
        import wandb

        api = wandb.Api()
        print(api.default_entity)
        return lambda: (stock_frame if what == "frame" else stock_table)(api, where)
    import polars  # noqa: F401

    import histscan

    own = histscan.Api()
    print(own.default_entity)
    if what == "frame":
        return lambda: own.runs(where).to_polars()
    return lambda: own.runs(where).table().to_polars()


def digest(found: Any) -> dict[str, Any]:
    """Returns what is equal for all readers: the number of rows, and sums of numbers in all columns.

    Args:
        found: A frame of pandas or polars, or an Arrow table.
    """
    import math

    if hasattr(found, "columns") and hasattr(found, "iloc"):
        columns = {name: found[name].tolist() for name in found.columns}
    elif hasattr(found, "to_dict") and hasattr(found, "height"):
        columns = found.to_dict(as_series=False)
    else:
        columns = found.to_pydict()
    sums = {}
    for name, values in columns.items():
        if name in (*_LOG_KEYS, "config.lr", "summary.loss"):
            numbers = [value for value in values if isinstance(value, int | float) and not math.isnan(value)]
            sums[name] = [len(numbers), f"{math.fsum(numbers):.9g}"]
    return {"rows": len(next(iter(columns.values()))), "sums": dict(sorted(sums.items()))}


def main() -> None:
    """Reads with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", help="the project's path, or the folder of logs")
    parser.add_argument("what", choices=("frame", "table", "logs"))
    parser.add_argument("way", choices=("ours", "wandb", "loop", "bytes", "one"), help="who reads")
    parser.add_argument("--digest", action="store_true", help="print a digest of what was read")
    arguments = parser.parse_args()
    read = reader(arguments.what, arguments.way, arguments.where)
    gc.collect()
    started = perf_counter()
    found = read()
    seconds = perf_counter() - started
    print(json.dumps(digest(found) if arguments.digest else {"seconds": seconds}), flush=True)


if __name__ == "__main__":
    from tests.support.wandb_client import leave

    main()
    leave()
