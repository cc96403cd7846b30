"""Finds which steps a polars predicate can select, without polars' unstable serialisation of expressions.

An expression is taken apart with ``Expr.meta.pop``, and its operator is found by building each candidate of the same
parts and comparing with ``Expr.meta.eq``. What is not recognised restricts nothing: the caller must apply the predicate
to the rows in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from histscan.common.steps import STEP, UNBOUNDED

if TYPE_CHECKING:
    import polars

__all__ = ["ALL_STEPS", "StepRange", "conjuncts", "step_range"]

_EXACT = 1 << 53
"""Floats from here on are not exact, so that a step may compare equal to another number."""


class StepRange(NamedTuple):
    """A range of steps.

    Attributes:
        first: The first step.
        stop: The step to stop at, exclusive.
    """

    first: int
    stop: int

    def intersect(self, other: StepRange) -> StepRange:
        """Returns the steps that both ranges have.

        Args:
            other: The other range.
        """
        return StepRange(max(self.first, other.first), min(self.stop, other.stop))

    def enclose(self, other: StepRange) -> StepRange:
        """Returns the smallest range that has all steps of both.

        Args:
            other: The other range.
        """
        if not self or not other:
            return self if self else other
        return StepRange(min(self.first, other.first), max(self.stop, other.stop))

    def __bool__(self) -> bool:
        return self.first < self.stop


ALL_STEPS = StepRange(-UNBOUNDED, UNBOUNDED)
_NO_STEPS = StepRange(0, 0)


def conjuncts(predicate: polars.Expr) -> Iterator[polars.Expr]:
    """Splits a predicate at its ``&``.

    Args:
        predicate: The predicate.

    Yields:
        Expressions that are all true where the predicate is.
    """
    parts = predicate.meta.pop()
    for left, right in _orders(parts):
        if predicate.meta.eq(left & right):
            yield from conjuncts(left)
            yield from conjuncts(right)
            return
    yield predicate


def step_range(predicate: polars.Expr) -> StepRange:
    """Finds a range that has all steps for which a predicate may be true.

    Args:
        predicate: The predicate.

    Returns:
        The range; `ALL_STEPS` if the predicate is of another kind.
    """
    parts = predicate.meta.pop()
    for left, right in _orders(parts):
        if predicate.meta.eq(left & right):
            return step_range(left).intersect(step_range(right))
        if predicate.meta.eq(left | right):
            return step_range(left).enclose(step_range(right))
        if _is_step(left):
            found = _compared(predicate, left, right)
            if found is not None:
                return found
    if len(parts) == 3:
        return _between(predicate, parts)
    return ALL_STEPS


def _orders(parts: list[polars.Expr]) -> Iterator[tuple[polars.Expr, polars.Expr]]:
    """Yields two operands in both orders, because polars does not say in which order it returns them."""
    if len(parts) == 2:
        yield parts[1], parts[0]
        yield parts[0], parts[1]


def _is_step(operand: polars.Expr) -> bool:
    import polars

    step = polars.col(STEP)
    same = (step, step.cast(polars.Float64, strict=False), step.cast(polars.Float64))
    return any(operand.meta.eq(candidate) for candidate in same)


# The steps that compare so with a number: an operator, and the range for the number's floor and ceiling.
_COMPARISONS: list[tuple[Callable[[Any, Any], Any], Callable[[int, int], StepRange]]] = [
    (lambda step, value: step > value, lambda floor, _: StepRange(floor + 1, UNBOUNDED)),
    (lambda step, value: value < step, lambda floor, _: StepRange(floor + 1, UNBOUNDED)),
    (lambda step, value: step >= value, lambda _, ceiling: StepRange(ceiling, UNBOUNDED)),
    (lambda step, value: value <= step, lambda _, ceiling: StepRange(ceiling, UNBOUNDED)),
    (lambda step, value: step < value, lambda _, ceiling: StepRange(-UNBOUNDED, ceiling)),
    (lambda step, value: value > step, lambda _, ceiling: StepRange(-UNBOUNDED, ceiling)),
    (lambda step, value: step <= value, lambda floor, _: StepRange(-UNBOUNDED, floor + 1)),
    (lambda step, value: value >= step, lambda floor, _: StepRange(-UNBOUNDED, floor + 1)),
    (lambda step, value: step == value, lambda floor, ceiling: StepRange(ceiling, floor + 1)),
    (lambda step, value: value == step, lambda floor, ceiling: StepRange(ceiling, floor + 1)),
]


def _compared(predicate: polars.Expr, step: polars.Expr, other: polars.Expr) -> StepRange | None:
    """Returns the range of a comparison of the step with a constant; None for other operators and operands."""
    for compare, make_range in _COMPARISONS:
        if predicate.meta.eq(compare(step, other)):
            number = _number(_constant(other))
            return None if number is None else make_range(math.floor(number), math.ceil(number))
    if predicate.meta.eq(step.is_in(other)):
        values = _constant(other)
        numbers = [_number(value) for value in values if value is not None] if isinstance(values, list) else [None]
        steps = [number for number in numbers if number is not None]
        if len(steps) < len(numbers):
            return None
        return StepRange(math.floor(min(steps)), math.ceil(max(steps)) + 1) if steps else _NO_STEPS
    return None


def _between(predicate: polars.Expr, parts: list[polars.Expr]) -> StepRange:
    for step, low, high in (parts[::-1], parts):
        if not _is_step(step):
            continue
        closings: tuple[Any, ...] = ("both", "left", "right", "none")
        if any(predicate.meta.eq(step.is_between(low, high, closed=closed)) for closed in closings):
            first, last = _number(_constant(low)), _number(_constant(high))
            if first is not None and last is not None:
                return StepRange(math.floor(first), math.ceil(last) + 1)
    return ALL_STEPS


def _constant(operand: polars.Expr) -> Any:
    """Returns the value of a constant; None if the operand is not constant."""
    import polars

    if operand.meta.root_names() or not operand.meta.is_literal():
        return None
    values = polars.select(operand).to_series()
    if len(values) != 1:
        return values.to_list()
    value = values[0]
    return value.to_list() if isinstance(value, polars.Series) else value


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not abs(value) < _EXACT:
        return None
    return value
