"""Fixtures of the tests of pages fetched ahead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.graphql_server import GraphQLServer
from tests.support.prefetching import Gate, assert_nothing_is_left


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """Checks that no request, thread or scan outlives the test."""
    yield
    assert_nothing_is_left()


@pytest.fixture
def gate(server: GraphQLServer) -> Iterator[Gate]:
    """Holds back the server's answers until the test opens it."""
    gate = Gate()
    server.respond = gate
    yield gate
    gate.is_open.set()
