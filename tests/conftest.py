"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.graphql_server import Answer, GraphQLServer, serving

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    # The environments of the matrix do without.
    pass
else:
    # How long an example takes says how busy the machine is. What time things take is measured in benches/.
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")


@pytest.fixture
def server() -> Iterator[GraphQLServer]:
    """A GraphQL server on loopback; set its `respond` before asking it."""
    with serving(lambda request: Answer(b"the test set no answer", status=500)) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hides the user's own server, key and netrc from every test, and proxies from loopback."""
    for name in ("WANDB_BASE_URL", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path_factory.getbasetemp() / "no-netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
