"""The format of an output file, from its name or from ``--format``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from histscan.cli.exit_codes import UsageError

__all__ = ["STDOUT", "find_format"]

STDOUT = "-"


def find_format(output: str, given: str | None, formats: Mapping[str, str]) -> str:
    """Finds the format of an output file.

    Args:
        output: The file, or ``-``.
        given: The format that the user has set; None for that of the suffix.
        formats: The formats by suffix.

    Returns:
        The format.

    Raises:
        UsageError: The suffix is unknown.
    """
    if given is not None:
        return given
    known = formats.get(Path(output).suffix.lower())
    if known is None:
        what = "standard output" if output == STDOUT else f"{output!r}"
        raise UsageError(
            f"the format of {what} is unknown: use a file name that ends in {', '.join(formats)}, "
            f"or set --format ({', '.join(sorted(set(formats.values())))})"
        )
    return known
