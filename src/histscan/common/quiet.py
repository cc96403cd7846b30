"""Ignoring the warnings of passes over files whose rows nobody gets."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from histscan.errors import LogCorruptWarning, LogOverlapWarning, LogStepWarning, LogTruncatedWarning

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignores warnings about a file's state, for all passes but the one whose rows users get."""
    with warnings.catch_warnings():
        for category in (LogTruncatedWarning, LogCorruptWarning, LogOverlapWarning, LogStepWarning):
            warnings.simplefilter("ignore", category)
        yield
