"""GraphQL through a wandb service, as wandb 0.27.0 reads history."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from histscan.errors import HistoryError

__all__ = ["ServiceGraphQLClient"]


class ServiceGraphQLClient:
    """Asks a W&B server's GraphQL API by way of a wandb service, which logs in and retries.

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
        """Runs a query and returns the answer's body, without parsing it.

        Args:
            document: The query.
            variable_values: The query's variables.
            is_whole: Is not needed: the service has parsed the answer, and requested broken ones again.

        Returns:
            The body: ``{"data": …}`` in UTF-8.
        """
        from wandb.apis.public.service_api import ServiceApi
        from wandb.proto import wandb_api_pb2

        if getattr(type(self._service), "execute_graphql", None) is not ServiceApi.execute_graphql:
            # Somebody's own service: it is asked the way that wandb's class asks it.
            data = json.dumps(self._service.execute_graphql(document, variable_values))
        else:
            query = wandb_api_pb2.GraphQLRequest(query=document, variables_json=json.dumps(variable_values))
            response = self._service.send_api_request(wandb_api_pb2.ApiRequest(graphql_request=query))
            data = response.graphql_response.data_json
        return b'{"data":%b}' % data.encode()

    def conceal_key(self, text: str) -> str:
        """Returns a text as it is: the key is the service's, and not known here.

        Args:
            text: Any text.
        """
        return text

    def add_advice(self, error: HistoryError) -> None:
        """Leaves an error as it is: the key is the service's, and not known here.

        Args:
            error: Any error.
        """
