"""The option `source`: where the rows of a run on a server are read from."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["SOURCES", "SourceOption", "check_source"]

SourceOption = Literal["pages", "parquet", "auto"]
"""Pages of rows as they were logged; exported Parquet files, and pages for the rest; or those files if available."""

SOURCES: tuple[SourceOption, ...] = get_args(SourceOption)


def check_source(source: SourceOption) -> SourceOption:
    """Returns the option if it is valid.

    Args:
        source: The option.

    Raises:
        ValueError: It is invalid.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be 'pages', 'parquet' or 'auto', not {source!r}")
    return source
