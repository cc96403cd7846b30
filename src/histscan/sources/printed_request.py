"""GraphQL requests whose query text is cached.

gql prints a query from its syntax tree for each request, which takes longer than everything else that a client does
for a small answer.
"""

from __future__ import annotations

import copy
from typing import Any

from gql import GraphQLRequest
from graphql import print_ast

__all__ = ["PrintedRequest"]


class PrintedRequest(GraphQLRequest):
    """A request without variables, from which requests with variables are made.

    Args:
        text: The query in GraphQL.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._printed = print_ast(self.document)

    def with_variables(self, variable_values: dict[str, Any] | None) -> PrintedRequest:
        """Returns a copy of the request with variables.

        Args:
            variable_values: The variables.
        """
        request = copy.copy(self)
        request.variable_values = variable_values
        return request

    @property
    def payload(self) -> dict[str, Any]:
        """The JSON object to send."""
        return {"query": self._printed} | ({"variables": self.variable_values} if self.variable_values else {})
