"""``histscan export`` to files of columns: Parquet and Arrow IPC."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from histscan.cli.exit_codes import UsageError
from histscan.cli.export_outcome import ExportOutcome
from histscan.paging.progress_bar import ProgressBar

if TYPE_CHECKING:
    from histscan.cli.run_argument import AnyRun, AnyScan

__all__ = ["TABLE_FORMATS", "add_table_options", "check_table_options", "write_table"]

TABLE_FORMATS = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}
NAMES = {"parquet": "Parquet", "arrow": "Arrow"}

# As `histscan.columns.arrow_files` has them, which is loaded only when it is used.
COMPRESSIONS = {"parquet": ("zstd", "snappy", "gzip", "lz4", "none"), "arrow": ("zstd", "lz4", "none")}


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Declares the options of files of columns.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--compression",
        choices=COMPRESSIONS["parquet"],
        help="how Parquet and Arrow files are compressed (default: zstd); Arrow takes zstd, lz4 or none, with which a "
        "file can be mapped into memory",
    )
    parser.add_argument(
        "--nested",
        choices=("json", "flatten"),
        help="what Parquet and Arrow files make of nested values: a column of JSON text (json, the default), or a "
        "column with a dotted name for each value in them (flatten)",
    )


def check_table_options(arguments: argparse.Namespace, file_format: str, goal: Path | None) -> None:
    """Refuses options that make no sense for the format, before anything is read.

    Args:
        arguments: The parsed command line.
        file_format: The format.
        goal: The file; None for standard output.

    Raises:
        UsageError: They make none, or pyarrow is not installed.
    """
    if file_format not in NAMES:
        for name in ("compression", "nested"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name} is for Parquet and Arrow files, not for {file_format}")
        return
    kind = NAMES[file_format]
    if arguments.nan != "token":
        raise UsageError(f"--nan is for JSON: a {kind} file has NaN as what it is")
    if arguments.compression not in (None, *COMPRESSIONS[file_format]):
        raise UsageError(
            f"{kind} files know no {arguments.compression} compression: choose {', '.join(COMPRESSIONS[file_format])}"
        )
    if goal is None and sys.stdout.isatty():
        raise UsageError(f"a {kind} file is nothing for a terminal: name a file, or pipe the output to a program")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError("Parquet and Arrow files need pyarrow: pip install 'histscan[arrow]'") from error


def write_table(
    run: AnyRun,
    scan: AnyScan,
    output: BinaryIO,
    *,
    file_format: str,
    arguments: argparse.Namespace,
    show_progress: bool,
) -> ExportOutcome:
    """Writes a file of columns.

    Args:
        run: The run, which the file's metadata describes.
        scan: What to write.
        output: Where to write.
        file_format: ``"parquet"`` or ``"arrow"``.
        arguments: The parsed command line.
        show_progress: Whether to show a bar.

    Returns:
        What was written.

    Raises:
        HistoryError: The history cannot be read.
        OSError: A file cannot be read or written.
    """
    from histscan.columns.arrow_files import bytes_to_read, run_metadata, write_arrow, write_parquet

    nested = arguments.nested or "json"
    write = write_parquet if file_format == "parquet" else write_arrow
    with ProgressBar(bytes_to_read(scan), wanted=show_progress) as bar:
        written = write(
            scan,
            output,
            nested=nested,
            compression=arguments.compression or "zstd",
            metadata=run_metadata(run),
            watch=bar.update,
        )
    count = len(written.columns) if written.rows else 0
    keys, columns = (count, None) if nested == "json" else (None, count)
    return ExportOutcome(written.rows, keys, columns, written.first_step, written.last_step)
