"""A terminal that keeps what is written to it."""

from __future__ import annotations

import io

import pytest

__all__ = ["Terminal", "draw_at_once"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What was drawn, one text for each time; blank ones remove what was there."""
        return self.getvalue().split("\r")[1:]


def draw_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes progress bars appear at once, and change with each update."""
    monkeypatch.setattr("histscan.paging.row_bar.SHOWN_AFTER", 0)
    monkeypatch.setattr("histscan.paging.row_bar.SHOWN_EVERY", 0)
