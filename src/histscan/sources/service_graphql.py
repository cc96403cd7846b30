"""GraphQL requests through a wandb service, as wandb 0.27.0 reads history."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from histscan.errors import HistoryError

__all__ = ["ServiceGraphQLClient"]


class ServiceGraphQLClient:
    """Sends queries to a W&B server's GraphQL API through a wandb service, which logs in and retries.

    Args:
        service: wandb's ``ServiceApi``, 0.27.0 or later. Its own exceptions pass unchanged.
    """

    def __init__(self, service: Any) -> None:
        self._service = service

    def execute_raw(
        self,
        document: str,
        variable_values: dict[str, Any],
        *,
        is_whole: Callable[[bytes], bool] | None = None,  # noqa: ARG002
    ) -> bytes:
        """Runs a query and returns the raw body of the answer.

        Args:
            document: The query.
            variable_values: The query's variables.
            is_whole: Unused: the service parses each answer, and retries incomplete ones.

        Returns:
            The body: ``{"data": …}`` in UTF-8.
        """
        from wandb.apis.public.service_api import ServiceApi
        from wandb.proto import wandb_api_pb2

        if getattr(type(self._service), "execute_graphql", None) is not ServiceApi.execute_graphql:
            # Not wandb's own service: it is called as wandb's class calls it.
            data = json.dumps(self._service.execute_graphql(document, variable_values))
        else:
            query = wandb_api_pb2.GraphQLRequest(query=document, variables_json=json.dumps(variable_values))
            response = self._service.send_api_request(wandb_api_pb2.ApiRequest(graphql_request=query))
            data = response.graphql_response.data_json
        return b'{"data":%b}' % data.encode()

    def conceal_key(self, text: str) -> str:
        """Returns a text unchanged: only the service knows the key.

        Args:
            text: Any text.
        """
        return text

    def add_advice(self, error: HistoryError) -> None:
        """Leaves an error unchanged: only the service knows the key.

        Args:
            error: Any error.
        """
