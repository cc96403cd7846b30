"""Fixtures of the tests of runs on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.graphql_server import Answer, GraphQLServer, serving


@pytest.fixture
def server_of_own() -> Iterator[GraphQLServer]:
    """A GraphQL server whose `respond` the test sets; `server` is `histscan serve` in these modules."""
    with serving(lambda request: Answer(b"the test set no answer", status=500)) as running:
        yield running
