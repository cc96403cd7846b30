"""Classes of scans: each has the `__next__` that its own definition says, however it came by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from histscan.columns.scan import Scan


class Steps(Scan):
    """A scan of one page with three rows."""

    def __init__(self) -> None:
        super().__init__(0, 3)

    def _load_next(self) -> None:
        self.page_offset = self._stop_step
        self._take_rows([{"_step": step} for step in range(3)])


def steps_of(scan: Iterator[Any]) -> list[Any]:
    return [row["_step"] for row in scan]


def test_rows_of_a_class_without_a_next_of_its_own() -> None:
    class Further(Steps):
        pass

    for scan in (Steps(), Further()):
        assert steps_of(scan) == [0, 1, 2]
        iter(scan)
        assert next(scan) == {"_step": 0}
        assert scan.__next__() == {"_step": 1}
        assert steps_of(iter(scan)) == [0, 1, 2]


class Doubled:
    """A mixin whose rows have other steps."""

    def __next__(self) -> Any:
        return {"_step": 2 * super().__next__()["_step"]}  # type: ignore[misc]


def test_next_of_the_class_or_of_a_mixin_is_used() -> None:
    class Own(Steps):
        def __next__(self) -> Any:
            return {"_step": 2 * super().__next__()["_step"]}

    class Mixed(Doubled, Steps):
        pass

    class Below(Mixed):
        pass

    for scan_class in (Own, Mixed, Below):
        assert steps_of(scan_class()) == [0, 2, 4], scan_class


def test_next_that_is_assigned_later_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Below(Steps):
        pass

    for scan_class in (Below, Steps):
        with monkeypatch.context() as patched:
            # That of the base class is inherited, too.
            patched.setattr(
                scan_class, "__next__", lambda scan: {"_step": -Scan.__next__(scan)["_step"]}, raising=False
            )
            assert steps_of(Below()) == [0, -1, -2]
        assert steps_of(Below()) == [0, 1, 2]
