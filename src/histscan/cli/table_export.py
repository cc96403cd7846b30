"""``histscan export`` to columnar files: Parquet and Arrow IPC."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from histscan.cli.exit_codes import UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.cli.stream_export import SYSTEM
from histscan.common.install_hint import install_hint
from histscan.common.steps import STEP
from histscan.paging.progress_bar import ProgressBar

if TYPE_CHECKING:
    import pyarrow

    from histscan.cli.key_selection import KeySelection
    from histscan.columns.scan import Scan
    from histscan.runs.contracts import Run

__all__ = ["TABLE_FORMATS", "add_table_options", "check_table_options", "write_batches", "write_chosen", "write_table"]

TABLE_FORMATS = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}
NAMES = {"parquet": "Parquet", "arrow": "Arrow"}

# Must match `histscan.columns.arrow_files`, which is imported only when it is used.
COMPRESSIONS = {"parquet": ("zstd", "snappy", "gzip", "lz4", "none"), "arrow": ("zstd", "lz4", "none")}


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of Parquet and Arrow files.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--compression",
        choices=COMPRESSIONS["parquet"],
        help="compression of Parquet and Arrow files (default: zstd); Arrow supports zstd, lz4 and none, and only an "
        "uncompressed file can be memory-mapped",
    )
    parser.add_argument(
        "--nested",
        choices=("json", "flatten"),
        help="how Parquet and Arrow files store nested values: as a column of JSON text (json, the default), or as a "
        "column with a dotted name for each nested key (flatten)",
    )
    parser.add_argument(
        "--timestamps",
        choices=("seconds", "datetime"),
        help="how Parquet and Arrow files store _timestamp: as logged, in seconds since 1970 (seconds, the default), "
        "or as dates and times in UTC (datetime)",
    )


def check_table_options(arguments: argparse.Namespace, file_format: str, goal: Path | None) -> None:
    """Rejects options that do not apply to the format, before anything is read.

    Args:
        arguments: The parsed command line.
        file_format: The format.
        goal: The file; None for standard output.

    Raises:
        UsageError: An option does not apply, or pyarrow is not installed.
    """
    if file_format not in NAMES:
        for name in ("compression", "nested", "timestamps"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name} applies to Parquet and Arrow files, not to {file_format}: leave it out")
        return
    kind = NAMES[file_format]
    if arguments.nan != "token":
        raise UsageError(f"--nan applies to JSON: {kind} files store NaN as a float; leave it out")
    if arguments.compression not in (None, *COMPRESSIONS[file_format]):
        raise UsageError(
            f"{kind} files do not support {arguments.compression} compression: "
            f"use {', '.join(COMPRESSIONS[file_format])}"
        )
    if goal is None and sys.stdout.isatty():
        raise UsageError(f"{kind} files are binary and can't go to a terminal: set --output to a file, or use a pipe")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(f"Parquet and Arrow files need pyarrow: {install_hint('arrow')}") from error


def write_table(
    run: Run,
    scan: Scan,
    output: BinaryIO,
    *,
    file_format: str,
    arguments: argparse.Namespace,
    show_progress: bool,
) -> ExportOutcome:
    """Writes a Parquet or Arrow file.

    Args:
        run: The run, which the file's metadata describes.
        scan: The rows.
        output: The binary file to write to.
        file_format: ``"parquet"`` or ``"arrow"``.
        arguments: The parsed command line.
        show_progress: Shows a progress bar.

    Returns:
        What was written.

    Raises:
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    from histscan.columns.arrow_files import write_arrow, write_parquet
    from histscan.runs.run_metadata import run_metadata

    nested = arguments.nested or "json"
    write = write_parquet if file_format == "parquet" else write_arrow
    with ProgressBar(scan.column_bytes, wanted=show_progress) as bar:
        written = write(
            scan,
            output,
            nested=nested,
            compression=arguments.compression or "zstd",
            metadata=run_metadata(run),
            watch=bar.update,
            timestamps=arguments.timestamps or "seconds",
        )
    count = len(written.columns) if written.rows else 0
    keys, columns = (count, None) if nested == "json" else (None, count)
    return ExportOutcome(written.rows, keys, columns, written.first_step, written.last_step)


def write_chosen(
    run: Run,
    scan: Scan,
    keys: Sequence[str],
    selection: KeySelection,
    output: BinaryIO,
    *,
    file_format: str,
    arguments: argparse.Namespace,
) -> ExportOutcome:
    """Writes a Parquet or Arrow file of the rows that patterns of keys choose.

    Args:
        run: The run, which the file's metadata describes.
        scan: The rows, with all keys.
        keys: The keys that the patterns match.
        selection: The keys and patterns.
        output: The binary file to write to.
        file_format: ``"parquet"`` or ``"arrow"``.
        arguments: The parsed command line.

    Returns:
        What was written.

    Raises:
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    from histscan.runs.run_metadata import run_metadata

    axis = [] if arguments.stream == SYSTEM else [STEP]
    batches = scan.batches(
        [*axis, *keys],
        nested=arguments.nested or "json",
        with_step=False,
        timestamps=arguments.timestamps or "seconds",
    )
    chosen = map(selection.choose_rows, batches)
    return write_batches(chosen, output, file_format=file_format, arguments=arguments, metadata=run_metadata(run))


def write_batches(
    batches: Iterable[pyarrow.RecordBatch],
    output: BinaryIO,
    *,
    file_format: str,
    arguments: argparse.Namespace,
    metadata: Mapping[str, str] | None = None,
) -> ExportOutcome:
    """Writes record batches to a Parquet or Arrow file.

    Args:
        batches: The batches.
        output: The binary file to write to.
        file_format: ``"parquet"`` or ``"arrow"``.
        arguments: The parsed command line.
        metadata: Entries of the file's metadata.

    Returns:
        What was written.

    Raises:
        HistoryError: A history cannot be read.
        OSError: A file cannot be read or written.
    """
    from histscan.columns import arrow_files

    written = arrow_files.write_batches(
        batches,
        output,
        file_format="parquet" if file_format == "parquet" else "arrow",
        compression=arguments.compression or "zstd",
        metadata=metadata,
    )
    return ExportOutcome(written.rows, None, len(written.columns), written.first_step, written.last_step)
