"""Filters of runs in the MongoDB dialect of ``wandb.Api().runs(filters=…)``, and sort orders, evaluated locally."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Generic, NamedTuple, TypeVar

from histscan.common.patterns import PatternError, SearchTime, TimedPattern

__all__ = ["ABSENT", "DEFAULT_ORDER", "FilterDepthError", "FilterError", "RunFields", "RunTest"]

ABSENT: Any = object()
"""The value of a field that a run does not have."""

DEFAULT_ORDER = "+created_at"

DEEPEST_FILTER = 32
"""How deep operators may be nested in a filter."""

LONGEST_PATH = 1000
MOST_ORDERS = 16

_Subject = TypeVar("_Subject")

RunTest = Callable[[_Subject], bool]
"""Returns True if a run passes."""

_OTHER_NAMES = {
    "summary": "summary_metrics",
    "updated_at": "heartbeat_at",
    "description": "notes",
    "run_id": "name",
    "jobtype": "job_type",
    "sweep_id": "sweep",
}


class FilterError(ValueError):
    """A filter, order or cursor is invalid. The message names the invalid part."""


class FilterDepthError(FilterError):
    """A filter is nested too deeply."""


class _Allowance(NamedTuple):
    """What the rest of a filter may have: levels of operators, and the time of its patterns."""

    levels: int
    time: SearchTime

    def deeper(self) -> _Allowance:
        """Returns what is left for the next level."""
        if self.levels == 0:
            raise _too_deep()
        return self._replace(levels=self.levels - 1)


class RunFields(Generic[_Subject]):
    """Evaluates filters and orders of one kind of runs.

    Args:
        readers: For each field, a function that reads it from a run. Lists match if one of their items does, texts
            that are compared with times are parsed, and the other way round.
    """

    def __init__(self, readers: Mapping[str, Callable[[_Subject], Any]]) -> None:
        self._readers = dict(readers)

    def value(self, path: str, run: _Subject) -> Any:
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
        if len(path) > LONGEST_PATH:
            raise FilterError(f"the name of a field has more than {LONGEST_PATH:,} characters")
        name, _, inner = path.partition(".")
        name = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
        name = _OTHER_NAMES.get(name, name)
        if name not in self._readers:
            raise FilterError(f"runs have no field {path!r}: use one of {', '.join(sorted(self._readers))}")
        value = self._readers[name](run)
        if not inner:
            return value
        found = _descend(value, inner)
        if found is ABSENT and name == "config" and inner.endswith(".value"):
            # W&B stores each entry of a config as {"value": …}.
            return _descend(value, inner.removesuffix(".value"))
        return found

    def compile_text(self, text: str | None) -> RunTest[_Subject]:
        """Compiles a filter that is JSON text.

        Args:
            text: The filter; None or empty matches every run.

        Returns:
            A function that returns True if a run matches.

        Raises:
            FilterError: The filter is invalid.
        """
        try:
            conditions = json.loads(text) if text else {}
        except ValueError as error:
            raise FilterError(f"the filter is not JSON: {error}") from None
        except RecursionError:
            raise _too_deep() from None
        return self.compile(conditions)

    def compile(self, conditions: Any) -> RunTest[_Subject]:
        """Compiles a filter.

        Args:
            conditions: The filter; an empty one matches every run.

        Returns:
            A function that returns True if a run matches.

        Raises:
            FilterError: The filter is invalid.
        """
        return self._compile(conditions, _Allowance(DEEPEST_FILTER, SearchTime()))

    def _compile(self, conditions: Any, allowance: _Allowance) -> RunTest[_Subject]:
        if not isinstance(conditions, Mapping):
            raise FilterError(f"a filter must be an object, not {_shown(conditions)}")
        inner = allowance.deeper()
        tests = [self._test_of(name, condition, inner) for name, condition in conditions.items()]
        return lambda run: all(test(run) for test in tests)

    def sort(self, runs: Iterable[_Subject], order: str | None) -> list[_Subject]:
        """Sorts runs. Runs that are equal by the order stay in the order in which they were.

        Args:
            runs: The runs.
            order: The fields to sort by, separated by commas; ``-`` before a field sorts descending, ``+`` ascending.
                None for the default. Runs without a value come last.

        Returns:
            The sorted runs.

        Raises:
            FilterError: The order is invalid.
        """
        ordered = list(runs)
        parts = (order or DEFAULT_ORDER).split(",")
        if len(parts) > MOST_ORDERS:
            raise FilterError(f"an order may have at most {MOST_ORDERS} fields")
        for part in reversed(parts):
            name = part.strip().lstrip("+-")
            is_descending = part.strip().startswith("-")
            ranked = [(_rank(self.value(name, run)), run) for run in ordered]
            ranked.sort(key=lambda pair: pair[0], reverse=is_descending)
            ranked.sort(key=lambda pair: pair[0][0] < 0)
            ordered = [run for _, run in ranked]
        return ordered

    def _test_of(self, name: str, condition: Any, allowance: _Allowance) -> RunTest[_Subject]:
        if name in ("$and", "$or", "$nor"):
            if not isinstance(condition, list):
                raise FilterError(f"{name} must have a list of filters, not {_shown(condition)}")
            tests = [self._compile(part, allowance) for part in condition]
            if name == "$and":
                return lambda run: all(test(run) for test in tests)
            wanted = name == "$or"
            return lambda run: any(test(run) for test in tests) is wanted
        if name == "$not":
            test = self._compile(condition, allowance)
            return lambda run: not test(run)
        if name.startswith("$"):
            raise FilterError(f"there is no operator {name}")
        matches = _matcher(condition, allowance)
        return lambda run: matches(self.value(name, run))


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


def _matcher(condition: Any, allowance: _Allowance) -> Callable[[Any], bool]:
    """Compiles the condition of one field to a test of its value."""
    if not isinstance(condition, dict) or not any(name.startswith("$") for name in condition):
        return _operator("$eq", condition, {}, allowance)
    inner = allowance.deeper()
    tests = [_operator(name, operand, condition, inner) for name, operand in condition.items() if name != "$options"]
    return lambda value: all(test(value) for test in tests)


def _operator(name: str, operand: Any, condition: Mapping[str, Any], allowance: _Allowance) -> Callable[[Any], bool]:
    match name:
        case "$eq":
            return lambda value: _equals(value, operand)
        case "$ne":
            return lambda value: not _equals(value, operand)
        case "$in" | "$nin":
            if not isinstance(operand, list):
                raise FilterError(f"{name} must have a list, not {_shown(operand)}")
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
            matches = _matcher(operand, allowance)
            return lambda value: not matches(value)
        case "$regex":
            return _pattern(operand, str(condition.get("$options", "")), allowance.time)
        case _:
            raise FilterError(f"there is no operator {name}")


def _pattern(pattern: Any, options: str, time: SearchTime) -> Callable[[Any], bool]:
    try:
        compiled = TimedPattern(pattern, ignore_case="i" in options, time=time)
    except PatternError as error:
        raise FilterError(f"$regex {_shown(pattern)} is not a valid pattern: {error}") from None

    def matches(value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        try:
            return any(isinstance(item, str) and compiled.search(item) for item in values)
        except PatternError as error:
            raise FilterError(f"$regex {_shown(pattern)}: {error}") from None

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


def _rank(value: Any) -> tuple[int, Any]:
    """Returns the sort key of a value: numbers, then times, then texts; below 0 for missing values and NaN."""
    if value is ABSENT or value is None or value != value:
        return (-1, 0)
    if isinstance(value, int | float):
        return (1, value)
    if isinstance(value, datetime):
        return (2, value.timestamp())
    return (3, str(value))


def _too_deep() -> FilterDepthError:
    return FilterDepthError(f"the filter is nested too deeply: use at most {DEEPEST_FILTER} levels")


def _shown(value: Any) -> str:
    """Shows an invalid part of a filter."""
    try:
        shown = json.dumps(value, default=repr)
    except RecursionError:
        return "a deeply nested value"
    return shown if len(shown) <= 200 else f"{shown[:200]}…"
