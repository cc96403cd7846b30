"""Filters of runs, in the MongoDB dialect of ``wandb.Api().runs(filters=…)``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from histscan.server.served_run import ServedRun

__all__ = ["ABSENT", "FilterError", "RunTest", "compile_filter", "field_value"]

ABSENT: Any = object()
"""The value of a field that a run does not have."""

RunTest = Callable[[ServedRun], bool]
"""Returns True if a run passes."""


class FilterError(ValueError):
    """A filter, order or cursor is invalid. The message names the invalid part."""


_PLAIN_FIELDS: dict[str, Callable[[ServedRun], Any]] = {
    "name": lambda run: run.key.id,
    "entity": lambda run: run.key.entity,
    "project": lambda run: run.key.project,
    "display_name": lambda run: run.description().name,
    "created_at": lambda run: run.description().created_at,
    "tags": lambda run: list(run.description().tags),
    "group": lambda run: run.description().group or None,
    "job_type": lambda run: run.description().job_type or None,
    "notes": lambda run: run.description().notes or None,
    "host": lambda run: run.description().host or None,
    "state": lambda run: run.details().state,
    "config": lambda run: run.details().config,
    "summary_metrics": lambda run: run.details().summary,
    "heartbeat_at": lambda run: run.details().heartbeat_at,
    "duration": lambda run: (run.details().heartbeat_at - run.description().created_at).total_seconds(),
    "history_line_count": lambda run: run.details().row_count,
    "last_history_step": lambda run: run.details().last_step,
}
_OTHER_NAMES = {
    "summary": "summary_metrics",
    "updated_at": "heartbeat_at",
    "description": "notes",
    "run_id": "name",
    "jobtype": "job_type",
}


def field_value(path: str, run: ServedRun) -> Any:
    """Looks up a field of a run.

    Args:
        path: The dotted path of the field: ``state``, ``created_at`` or ``createdAt``, ``config.optimizer.name``,
            ``config.batch_size.value``, ``summary_metrics.loss``, …
        run: The run.

    Returns:
        Its value; `ABSENT` if the run has none.

    Raises:
        FilterError: No run has such a field.
    """
    name, _, inner = path.partition(".")
    name = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
    name = _OTHER_NAMES.get(name, name)
    if name not in _PLAIN_FIELDS:
        raise FilterError(f"runs have no field {path!r}: use one of {', '.join(sorted(_PLAIN_FIELDS))}")
    value = _PLAIN_FIELDS[name](run)
    if not inner:
        return value
    found = _descend(value, inner)
    if found is ABSENT and name == "config" and inner.endswith(".value"):
        # W&B stores each entry of a config as {"value": …}.
        return _descend(value, inner.removesuffix(".value"))
    return found


def _descend(value: Any, path: str) -> Any:
    """Returns the value at a dotted path; the keys themselves may contain dots."""
    if not isinstance(value, Mapping):
        return ABSENT
    if path in value:
        return value[path]
    for place, character in enumerate(path):
        if character == "." and path[:place] in value:
            found = _descend(value[path[:place]], path[place + 1 :])
            if found is not ABSENT:
                return found
    return ABSENT


def compile_filter(text: str | None) -> RunTest:
    """Compiles a filter.

    Args:
        text: The filter as JSON; None or empty matches every run.

    Returns:
        A function that returns True if a run matches.

    Raises:
        FilterError: The filter is invalid.
    """
    try:
        conditions = json.loads(text) if text else {}
    except ValueError as error:
        raise FilterError(f"the filter is not JSON: {error}") from None
    return _all_of(conditions)


def _all_of(conditions: Any) -> RunTest:
    if not isinstance(conditions, dict):
        raise FilterError(f"a filter must be an object, not {json.dumps(conditions)}")
    tests = [_test_of(name, condition) for name, condition in conditions.items()]
    return lambda run: all(test(run) for test in tests)


def _test_of(name: str, condition: Any) -> RunTest:
    if name in ("$and", "$or", "$nor"):
        if not isinstance(condition, list):
            raise FilterError(f"{name} must have a list of filters, not {json.dumps(condition)}")
        tests = [_all_of(part) for part in condition]
        if name == "$and":
            return lambda run: all(test(run) for test in tests)
        wanted = name == "$or"
        return lambda run: any(test(run) for test in tests) is wanted
    if name == "$not":
        test = _all_of(condition)
        return lambda run: not test(run)
    if name.startswith("$"):
        raise FilterError(f"there is no operator {name}")
    matches = _matcher(condition)
    return lambda run: matches(field_value(name, run))


def _matcher(condition: Any) -> Callable[[Any], bool]:
    """Compiles the condition of one field to a test of its value."""
    if not isinstance(condition, dict) or not any(name.startswith("$") for name in condition):
        return _operator("$eq", condition, {})
    tests = [_operator(name, operand, condition) for name, operand in condition.items() if name != "$options"]
    return lambda value: all(test(value) for test in tests)


def _operator(name: str, operand: Any, condition: Mapping[str, Any]) -> Callable[[Any], bool]:
    match name:
        case "$eq":
            return lambda value: _equals(value, operand)
        case "$ne":
            return lambda value: not _equals(value, operand)
        case "$in" | "$nin":
            if not isinstance(operand, list):
                raise FilterError(f"{name} must have a list, not {json.dumps(operand)}")
            wanted = name == "$in"
            return lambda value: any(_equals(value, item) for item in operand) is wanted
        case "$gt":
            return lambda value: _compare(value, operand, lambda sign: sign > 0)
        case "$gte":
            return lambda value: _compare(value, operand, lambda sign: sign >= 0)
        case "$lt":
            return lambda value: _compare(value, operand, lambda sign: sign < 0)
        case "$lte":
            return lambda value: _compare(value, operand, lambda sign: sign <= 0)
        case "$exists":
            return lambda value: (value is not ABSENT) is bool(operand)
        case "$not":
            matches = _matcher(operand)
            return lambda value: not matches(value)
        case "$regex":
            return _pattern(operand, str(condition.get("$options", "")))
        case _:
            raise FilterError(f"there is no operator {name}")


def _pattern(pattern: Any, options: str) -> Callable[[Any], bool]:
    try:
        compiled = re.compile(pattern, re.IGNORECASE if "i" in options else 0)
    except (re.error, TypeError) as error:
        raise FilterError(f"$regex {json.dumps(pattern)} is not a valid pattern: {error}") from None

    def matches(value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        return any(isinstance(item, str) and compiled.search(item) is not None for item in values)

    return matches


def _equals(value: Any, wanted: Any) -> bool:
    if value is ABSENT or value is None:
        return wanted is None
    if isinstance(value, list) and not isinstance(wanted, list):
        return any(_equals(item, wanted) for item in value)
    value, wanted = _alike(value, wanted)
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _compare(value: Any, bound: Any, decide: Callable[[float], bool]) -> bool:
    """Compares two values of the same type; values of different types have no order."""
    if isinstance(value, list):
        return any(_compare(item, bound, decide) for item in value)
    value, bound = _alike(value, bound)
    if isinstance(value, bool) or isinstance(bound, bool):
        return False
    return any(
        isinstance(value, kinds) and isinstance(bound, kinds) and decide(_sign(value, bound))
        for kinds in ((int, float), (str,), (datetime,))
    )


def _sign(value: Any, bound: Any) -> float:
    """Returns a number above 0 if the value is higher, below 0 if it is lower, NaN if either of them is NaN."""
    return float((value > bound) - (value < bound)) if value == value and bound == bound else math.nan


def _alike(value: Any, other: Any) -> tuple[Any, Any]:
    """Converts a text to a time if it is compared with a time."""
    if isinstance(value, datetime) and isinstance(other, str):
        try:
            parsed = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", other))
        except ValueError:
            raise FilterError(f"{other!r} is not a time such as 2026-01-31T12:00:00Z") from None
        return value, parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone.utc)
    return value, other
