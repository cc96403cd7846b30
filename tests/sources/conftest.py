"""Fixtures of the tests of sources."""

from __future__ import annotations

import pytest

from histscan.sources import retry


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before retries, in seconds, which are recorded and skipped."""
    waited: list[float] = []
    monkeypatch.setattr(retry, "sleep", waited.append)
    monkeypatch.setattr(retry, "random", lambda: 1.0)
    return waited
