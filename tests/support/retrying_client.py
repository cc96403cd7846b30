"""wandb's own client of a test's server."""

from __future__ import annotations

from wandb.apis.public.api import Client as WandbGqlClient
from wandb.apis.public.api import RetryingClient
from wandb.sdk.lib.gql_request import GraphQLSession


def retrying_client(url: str) -> RetryingClient:
    """wandb's own client of the server at a URL, with its own GraphQL documents."""
    return RetryingClient(WandbGqlClient(transport=GraphQLSession(f"{url}/graphql", use_json=True)))
