"""Ignores the warnings of passes over files that return no rows to the user."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from histscan.errors import LogCorruptWarning, LogOverlapWarning, LogStepWarning, LogTruncatedWarning

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignores warnings about the state of files, for all passes except the one that returns rows to the user."""
    with warnings.catch_warnings():
        for category in (LogTruncatedWarning, LogCorruptWarning, LogOverlapWarning, LogStepWarning):
            warnings.simplefilter("ignore", category)
        yield
