"""Runs that `histscan serve` serves in tests, and what is the same in their logs and exported files."""

from __future__ import annotations

from typing import Any

import histscan
from tests.support.paths import DATA, EXAMPLE

LISSAJOUS = "histscan/examples/lissajous"
"""The run in `EXAMPLE`."""

ODD = "histscan/fixtures/default-encoding"
TYPED = "histscan/fixtures/typed-encoding"
"""The recorded runs with values of every kind."""

KEYS = ["_step", "loss"]
NESTED_KEYS = ["_step", "validation.r2.x", "gradient.norm"]
"""Keys of LISSAJOUS."""


def log_of(run: str) -> histscan.LogRun:
    """The log of LISSAJOUS or ODD."""
    return histscan.LogRun(EXAMPLE if run == LISSAJOUS else DATA / "default-encoding.wandb")


def canonical(value: Any) -> Any:
    """Returns the value with the members of mappings sorted."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    return [canonical(item) for item in value] if isinstance(value, list) else value


def same(value: Any, other: Any) -> bool:
    """Returns True if values and their types are equal; NaN equals NaN, and the order of members is ignored."""
    return repr(canonical(value)) == repr(canonical(other))


def exported(value: Any) -> Any:
    """Returns the value as exported files store it: null equals missing, and 1 equals 1.0."""
    if isinstance(value, dict):
        return {key: exported(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [exported(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
