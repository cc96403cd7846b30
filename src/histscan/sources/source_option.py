"""The choice of where the rows of a run on a server come from."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["SOURCES", "SourceOption", "check_source"]

SourceOption = Literal["pages", "parquet", "auto"]
"""Pages of rows as they were logged; or exported files, and pages of the rest; or such files where they can be had."""

SOURCES: tuple[SourceOption, ...] = get_args(SourceOption)


def check_source(source: SourceOption) -> SourceOption:
    """Returns a choice, if it is one.

    Args:
        source: The choice.

    Raises:
        ValueError: It is none.
    """
    if source not in SOURCES:
        raise ValueError(f"source is 'pages', 'parquet' or 'auto', not {source!r}")
    return source
