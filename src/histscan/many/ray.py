"""Histories of many runs as a Ray dataset; needs ``pip install 'histscan[ray]'``.

import ray.data
from histscan.common.install_hint import install_hint
from histscan.many.ray import HistoryDatasource

dataset = ray.data.read_datasource(HistoryDatasource(histscan.open_runs("entity/project"), ["loss"]))
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from histscan.columns.predicates import ALL_STEPS, StepRange
from histscan.columns.typed_columns import formats_of_types
from histscan.common.steps import STEP, UNBOUNDED
from histscan.many.options import FrameOptions
from histscan.many.run_table import plain_columns
from histscan.many.tasks import DEFAULT_TARGET_BYTES, HistoryTask, TaskPlan

try:
    import ray
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata
    from ray.data.expressions import BinaryExpr, ColumnExpr, LiteralExpr, Operation, UnaryExpr
except ImportError as error:
    from histscan.common.install_hint import install_hint

    raise ImportError(f"HistoryDatasource needs Ray: {install_hint('ray')}") from error

if TYPE_CHECKING:
    import pyarrow
    from typing_extensions import Unpack

    from histscan.many.options import LazyArguments
    from histscan.many.runs import Runs

__all__ = ["HistoryDatasource"]

_SMALLEST_TASK = 1 << 20


class HistoryDatasource(Datasource):  # type: ignore[misc]
    """The histories of all runs as a source for ``ray.data.read_datasource``. Rows are read by Ray's workers.

    Selections of columns, and filters by expressions (``ray.data.expressions.col``), are passed on to the reading:
    other keys are not made into columns, only the steps are read that filters on ``_step`` can select, and only the
    runs that filters on ``run_id``, ``run_name`` and ``config.…`` select. Workers find the API key themselves, and
    open files by the same paths: see `histscan.many.tasks`.

    If the types of keys are unknown without reading rows, as those of logs are, all rows are read once by the workers
    to find them; `types` makes that unnecessary.

    The rows are those of ``runs.to_arrow()``; ``run_id`` and ``run_name`` are text.

    Args:
        runs: The runs.
        keys: As for ``runs.to_arrow``.
        target_bytes: The approximate size of a read task; less if Ray asks for more tasks.
        types: As for `histscan.runs.contracts.Run.scan_polars`.
        **options: What else to read; see `histscan.many.options.LazyArguments`.

    Raises:
        HistoryError: A run can't be read.
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        runs: Runs[Any],
        keys: Iterable[str | re.Pattern[str]] | None = None,
        *,
        target_bytes: int = DEFAULT_TARGET_BYTES,
        types: Mapping[str, str] | None = None,
        **options: Unpack[LazyArguments],
    ) -> None:
        super().__init__()
        if target_bytes < 1:
            raise ValueError(f"target_bytes must be at least 1, not {target_bytes}")
        self._projection_map: dict[str, str] | None = None
        self._target = target_bytes
        self._plan = TaskPlan(runs, FrameOptions.of_lazy(keys, options), formats_of_types(types), _map_tasks)

    def get_name(self) -> str:
        """Returns the name of the source in Ray's plans."""
        return "Histories"

    def supports_projection_pushdown(self) -> bool:
        """Returns True: Ray passes on selections of columns."""
        return True

    def supports_predicate_pushdown(self) -> bool:
        """Returns True: Ray passes on filters, and does not apply them itself."""
        return True

    def estimate_inmemory_data_size(self) -> int | None:
        """Returns the approximate number of bytes to read; None if it is unknown."""
        return self._plan.size or None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ReadTask]:
        """Makes the tasks of a read; called by Ray.

        Args:
            parallelism: How many tasks Ray would like.
            per_task_row_limit: Rows after which a task may stop.
            data_context: Ray's context; unused.

        Returns:
            The tasks, in the order of the runs.
        """
        del data_context
        wanted = max(self._plan.size // max(parallelism, 1), _SMALLEST_TASK)
        # A table without columns has no rows, and Ray selects none to count them.
        columns = None if self._projection_map is None else list(self._projection_map) or ["run_id"]
        predicate = self.get_current_predicate()
        reads = []
        for task in _choose_runs(self._plan.tasks(min(self._target, wanted)), predicate):
            metadata = BlockMetadata(num_rows=None, size_bytes=task.size or None, input_files=None, exec_stats=None)
            read = partial(_read, task, columns, predicate)
            reads.append(ReadTask(read, metadata, per_task_row_limit=per_task_row_limit))
        return reads


def _map_tasks(function: Callable[[HistoryTask], Any], tasks: Sequence[HistoryTask]) -> Iterable[Any]:
    remote = ray.remote(function)
    found: Iterable[Any] = ray.get([remote.remote(task) for task in tasks])
    return found


def _read(task: HistoryTask, columns: Sequence[str] | None, predicate: Any) -> Iterator[pyarrow.Table]:
    """Reads a task on a worker."""
    if predicate is None:
        yield plain_columns(task.to_arrow(columns))
        return
    names = _columns_of(predicate)
    needed = None if columns is None or names is None else list(dict.fromkeys([*columns, *names]))
    steps = _step_range(predicate) if task.formats.get(STEP) == "l" else ALL_STEPS
    table = plain_columns(task.to_arrow(needed, steps)).filter(predicate.to_pyarrow())
    yield table if columns is None else table.select(list(columns))


def _choose_runs(tasks: Sequence[HistoryTask], predicate: Any) -> list[HistoryTask]:
    """Leaves out the runs for which a predicate can't be true. Keeps one task, for the schema."""
    conditions = [] if predicate is None else list(_conjuncts(predicate))
    chosen = []
    for task in tasks:
        rows = plain_columns(task.run_table())
        named = set(rows.schema.names)
        rows = rows.append_column(_PLACE, [list(range(len(rows)))])
        for condition in conditions:
            names = _columns_of(condition)
            if names and named.issuperset(names):
                rows = rows.filter(condition.to_pyarrow())
        places = rows.column(_PLACE).to_pylist()
        if places:
            chosen.append(task if len(places) == len(task.runs) else task.choose_runs(places))
    return chosen or [tasks[0].choose_runs([])]


_PLACE = " place"
"""A column that no run column is called."""


def _conjuncts(predicate: Any) -> Iterator[Any]:
    if isinstance(predicate, BinaryExpr) and predicate.op == Operation.AND:
        yield from _conjuncts(predicate.left)
        yield from _conjuncts(predicate.right)
    else:
        yield predicate


def _columns_of(expression: Any) -> list[str] | None:
    """Returns the columns of an expression; None if it has parts of an unknown kind."""
    if isinstance(expression, ColumnExpr):
        return [expression.name]
    if isinstance(expression, LiteralExpr):
        return []
    if isinstance(expression, UnaryExpr):
        return _columns_of(expression.operand)
    if isinstance(expression, BinaryExpr):
        left, right = _columns_of(expression.left), _columns_of(expression.right)
        return None if left is None or right is None else [*left, *right]
    return None


_RANGES: dict[Any, Callable[[int, int], StepRange]] = {
    Operation.GT: lambda floor, _: StepRange(floor + 1, UNBOUNDED),
    Operation.GE: lambda _, ceiling: StepRange(ceiling, UNBOUNDED),
    Operation.LT: lambda _, ceiling: StepRange(-UNBOUNDED, ceiling),
    Operation.LE: lambda floor, _: StepRange(-UNBOUNDED, floor + 1),
    Operation.EQ: lambda floor, ceiling: StepRange(ceiling, floor + 1),
}
"""The steps that compare so with a number, given its floor and its ceiling."""

_MIRRORED = {
    Operation.GT: Operation.LT,
    Operation.GE: Operation.LE,
    Operation.LT: Operation.GT,
    Operation.LE: Operation.GE,
    Operation.EQ: Operation.EQ,
}


def _step_range(predicate: Any) -> StepRange:
    """Returns a range that has all steps for which a predicate may be true."""
    if not isinstance(predicate, BinaryExpr):
        return ALL_STEPS
    left, right, operation = predicate.left, predicate.right, predicate.op
    if operation == Operation.AND:
        return _step_range(left).intersect(_step_range(right))
    if operation == Operation.OR:
        return _step_range(left).enclose(_step_range(right))
    if isinstance(left, LiteralExpr):
        left, right, operation = right, left, _MIRRORED.get(operation)
    if not (isinstance(left, ColumnExpr) and left.name == STEP and isinstance(right, LiteralExpr)):
        return ALL_STEPS
    value = right.value
    if operation in _RANGES and _is_number(value):
        return _RANGES[operation](math.floor(value), math.ceil(value))
    if operation == Operation.IN and isinstance(value, list) and value and all(map(_is_number, value)):
        return StepRange(math.floor(min(value)), math.ceil(max(value)) + 1)
    return ALL_STEPS


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 53
