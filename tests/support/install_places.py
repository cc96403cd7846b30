"""Where install() replaces wandb's classes, and what stands there."""

from __future__ import annotations

from typing import Any

from wandb.apis import public
from wandb.apis.public import history as public_history

NAMES = ("BetaHistoryScan", "HistoryScan", "SampledHistoryScan")

Found = dict[tuple[str, str], Any]


def found() -> Found:
    """What stands in the places where the classes are looked up."""
    return {
        (module.__name__, name): getattr(module, name, None) for module in (public, public_history) for name in NAMES
    }


WANDBS = found()
SCAN_HISTORY = public.Run.scan_history


def is_installed() -> bool:
    """Returns True if all classes and `Run.scan_history` are ours; fails if some are wandb's."""
    ours = {scan_class.__module__.startswith("histscan.") for scan_class in found().values()}
    assert len(ours) == 1
    if ours == {False}:
        assert found() == WANDBS
    assert (public.Run.scan_history is SCAN_HISTORY) == (ours == {False})
    return ours == {True}
