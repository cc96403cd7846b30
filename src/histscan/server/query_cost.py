"""Estimates what a query costs before it is executed: values, rows and bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    value_from_ast_untyped,
)

from histscan.server.limits import ServerLimits
from histscan.server.query_context import QueryContext
from histscan.server.query_limits import too_much
from histscan.server.served_run import HistorySize, ServedRun

__all__ = ["check_cost"]

PAGE = 50
"""The objects of a connection without `first`."""

FILES = 100
"""The estimated files of a run."""

KEY_BYTES = 32
"""The estimated size of a key with its value."""


class _Place(NamedTuple):
    """The objects that a selection is resolved for.

    Attributes:
        times: How many there are.
        project: The names of their project, if they are in one.
        runs: The runs from which they are chosen, if they are runs.
        chosen: How many of `runs` each parent has.
    """

    times: int
    project: tuple[str, str] | None = None
    runs: Sequence[ServedRun] = ()
    chosen: int = 0

    def sizes(self) -> list[HistorySize]:
        """The sizes of the largest runs that can be chosen."""
        if len(self.runs) == 1:
            return [self.runs[0].history_size()]
        return sorted((run.history_size() for run in self.runs), reverse=True)[: self.chosen]


def check_cost(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    context: QueryContext,
    limits: ServerLimits,
) -> None:
    """Checks what a query costs.

    Args:
        operation: The operation, which is within `limits_rule`.
        fragments: The fragments of the document by name.
        variables: The values of variables.
        context: The context of the resolvers.
        limits: The limits.

    Raises:
        GraphQLError: The query costs more than a limit.
    """
    given = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    _Estimate(fragments, given | dict(variables), context, limits).add(operation.selection_set, _Place(1))


class _Estimate:
    """Adds up the costs of a query's fields, and raises an error at the first that is over a limit."""

    def __init__(
        self,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: dict[str, Any],
        context: QueryContext,
        limits: ServerLimits,
    ) -> None:
        self._fragments = fragments
        self._variables = variables
        self._context = context
        self._limits = limits
        self._values = self._rows = self._bytes = self._specs = 0

    def add(self, selection: SelectionSetNode, place: _Place) -> None:
        """Adds a selection."""
        for node in selection.selections:
            if isinstance(node, FieldNode):
                self._add_field(node, place)
            elif isinstance(node, InlineFragmentNode):
                self.add(node.selection_set, place)
            elif isinstance(node, FragmentSpreadNode):
                self.add(self._fragments[node.name.value].selection_set, place)

    def _add_field(self, node: FieldNode, place: _Place) -> None:
        self._values += place.times
        if self._values > self._limits.values:
            raise too_much(
                "the answer has more values than are allowed",
                self._limits.values,
                "values",
                "request fewer runs at once (`first`), or fewer fields",
            )
        if node.selection_set is not None:
            inner = self._descend(node, place)
            if inner.times:
                self.add(node.selection_set, inner)
        if place.runs:
            self._add_rows(node, place)

    def _arguments(self, node: FieldNode) -> dict[str, Any]:
        return {
            argument.name.value: value_from_ast_untyped(argument.value, self._variables)
            for argument in node.arguments or ()
        }

    def _descend(self, node: FieldNode, place: _Place) -> _Place:
        """Returns the objects of a field."""
        name = node.name.value
        if name in ("project", "model"):
            if place.runs:
                return _Place(place.times, place.runs[0].key[:2])
            arguments = self._arguments(node)
            entity = _text(arguments.get("entityName")) or self._context.default_entity
            return _Place(place.times, (entity, _text(arguments.get("name"))))
        if name in ("models", "projects"):
            projects = {run.key[:2] for run in self._context.runs(None, None)}
            return _Place(place.times * _first(self._arguments(node), len(projects)))
        if name in ("run", "bucket") and place.project is not None:
            run = self._context.run(*place.project, _text(self._arguments(node).get("name")))
            return _Place(0) if run is None else _Place(place.times, place.project, (run,), 1)
        if name in ("runs", "buckets"):
            runs = self._context.runs(*(place.project or (None, None)))
            chosen = _first(self._arguments(node), len(runs))
            return _Place(place.times * chosen, place.project, runs, chosen)
        if name == "files":
            arguments = self._arguments(node)
            # A missing file that is requested by name is in the list, too.
            available = len(_list(arguments.get("names"))) or FILES
            self._values += place.times * available
            return _Place(place.times * (_first(arguments, available) if "first" in arguments else available))
        return place

    def _add_rows(self, node: FieldNode, place: _Place) -> None:
        name = node.name.value
        if name not in ("history", "events", "sampledHistory", "parquetHistory"):
            return
        arguments = self._arguments(node)
        sizes = place.sizes()
        repeats = place.times // max(1, place.chosen)
        if name == "sampledHistory":
            specs = _list(arguments.get("specs"))
            self._specs += len(specs) * place.times
            if self._specs > self._limits.aliases:
                raise too_much(
                    f"the query has {self._specs:,} specs",
                    self._limits.aliases,
                    "aliases",
                    "split it into several queries",
                )
            for text in specs:
                spec = _spec(text)
                self._add_sizes(sizes, repeats, _most(spec.get("samples")), len(_list(spec.get("keys"))))
        elif name == "parquetHistory":
            live = [size for size in sizes if not size.is_exported]
            self._add_sizes(live, repeats, None, len(_list(arguments.get("liveKeys"))))
        else:
            self._add_sizes(sizes, repeats, _window(arguments), None)

    def _add_sizes(self, sizes: Sequence[HistorySize], repeats: int, most: int | None, keys: int | None) -> None:
        """Adds at most so many rows of each run, of some keys or of all."""
        for size in sizes:
            rows = size.rows if most is None else min(most, size.rows)
            row_bytes = size.bytes // max(1, size.rows)
            self._rows += rows * repeats
            self._bytes += rows * repeats * (row_bytes if keys is None else min(row_bytes, keys * KEY_BYTES))
        advice = "request fewer rows at once (`samples`, `minStep` and `maxStep`), or fewer runs"
        if self._rows > self._limits.rows:
            raise too_much(f"the answer has about {self._rows:,} rows", self._limits.rows, "rows", advice)
        if self._bytes > self._limits.answer:
            raise too_much(f"the answer has about {self._bytes:,} bytes", self._limits.answer, "answer", advice)


def _first(arguments: Mapping[str, Any], available: int) -> int:
    first = arguments.get("first", PAGE)
    return min(max(first, 0), available) if isinstance(first, int) else available


def _window(arguments: Mapping[str, Any]) -> int | None:
    """Estimates the rows of a page from its samples and its steps."""
    samples, first, stop = (arguments.get(name) for name in ("samples", "minStep", "maxStep"))
    steps = stop - (first or 0) if isinstance(stop, int) and isinstance(first, int | None) else None
    return min((rows for rows in (_most(samples), _most(steps)) if rows is not None), default=None)


def _most(rows: Any) -> int | None:
    return max(rows, 0) if isinstance(rows, int) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _spec(text: Any) -> Mapping[str, Any]:
    """Parses a spec; its resolver reports an invalid one."""
    try:
        spec = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return spec if isinstance(spec, dict) else {}
