"""Reads files in smaller windows, so that small files have several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from histscan.runs.log_pages import read_pages
from histscan.sources.files import read_windows


def set_window_size(patch: pytest.MonkeyPatch, size: int) -> None:
    """Sets the size of the windows in which files are read; for logs, a multiple of 32 KiB."""
    functions: list[Callable[..., Any]] = [read_pages, read_windows]
    for function in functions:
        assert "window_size" in (function.__kwdefaults__ or {})
        patch.setattr(function, "__kwdefaults__", {**(function.__kwdefaults__ or {}), "window_size": size})
