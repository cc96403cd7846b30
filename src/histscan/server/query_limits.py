"""Refuses queries by their text: too deep, too many fields, too many aliases."""

from __future__ import annotations

from typing import Any, NamedTuple

from graphql import (
    ASTValidationRule,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from histscan.server.limits import ServerLimits

__all__ = ["limits_rule", "too_much"]


class _Shape(NamedTuple):
    """The shape of a selection, fragments expanded."""

    depth: int
    fields: int
    aliases: int


_NOTHING = _Shape(0, 0, 0)


def too_much(what: str, allowed: float, name: str, advice: str) -> GraphQLError:
    """Makes the error of a query over a limit.

    Args:
        what: What the query has, as in "the query has 30 levels of fields".
        allowed: The limit.
        name: The limit's name.
        advice: What the client can do.

    Returns:
        The error.
    """
    return GraphQLError(
        f"{what}, and this server allows {allowed:,}: {advice} (`histscan serve --limit {name}=` sets the limit)"
    )


def limits_rule(limits: ServerLimits) -> type[ASTValidationRule]:
    """Makes the validation rule. It must run before the others: their time is not linear in the fields.

    Args:
        limits: The limits.

    Returns:
        A rule for `graphql.validate`.
    """

    class LimitsRule(ASTValidationRule):
        """Measures each operation. A fragment is measured once, however often it is used."""

        def __init__(self, context: Any) -> None:
            super().__init__(context)
            self._fragments: dict[str, _Shape] = {}

        def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
            shape = self._measure(node.selection_set, 0)
            if shape.depth > limits.depth:
                problem = f"the query has more than {limits.depth} levels of fields"
                error = too_much(problem, limits.depth, "depth", "nest fewer fields")
            elif shape.fields > limits.fields:
                problem = f"the query has {_shown(shape.fields)} fields"
                error = too_much(problem, limits.fields, "fields", "split it into several queries")
            elif shape.aliases > limits.aliases:
                problem = f"the query has {_shown(shape.aliases)} aliases"
                error = too_much(problem, limits.aliases, "aliases", "split it into several queries")
            else:
                return
            self.report_error(error)

        def _measure(self, selection: SelectionSetNode | None, level: int) -> _Shape:
            """Measures a selection at a level of fields and fragments."""
            if selection is None:
                return _NOTHING
            if level > 2 * limits.depth:
                # Deeper in any case, and the stack is finite.
                return _Shape(limits.depth + 1, 1, 0)
            depth = fields = aliases = 0
            for node in selection.selections:
                if isinstance(node, FieldNode):
                    inner = self._measure(node.selection_set, level + 1)
                    inner = _Shape(inner.depth + 1, inner.fields + 1, inner.aliases + (node.alias is not None))
                elif isinstance(node, InlineFragmentNode):
                    inner = self._measure(node.selection_set, level + 1)
                else:
                    assert isinstance(node, FragmentSpreadNode)
                    inner = self._measure_fragment(node.name.value, level + 1)
                depth = max(depth, inner.depth)
                fields += inner.fields
                aliases += inner.aliases
            return _Shape(depth, fields, aliases)

        def _measure_fragment(self, name: str, level: int) -> _Shape:
            if name not in self._fragments:
                # A fragment that contains itself is empty here; another rule reports it.
                self._fragments[name] = _NOTHING
                fragment = self.context.get_fragment(name)
                self._fragments[name] = self._measure(None if fragment is None else fragment.selection_set, level)
            return self._fragments[name]

    return LimitsRule


def _shown(count: int) -> str:
    """Fragments that use fragments multiply: the number may have hundreds of digits."""
    return f"{count:,}" if count < 10**9 else "billions of"
