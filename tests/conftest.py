"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.graphql_server import Answer, GraphQLServer, serving

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    # The environments of the matrix do without.
    pass
else:
    # How long an example takes says how busy the machine is. What time things take is measured in benches/.
    # An emulated processor takes ten times as long: HISTSCAN_EXAMPLES says how many examples it can do.
    examples = int(os.environ.get("HISTSCAN_EXAMPLES", "0"))
    untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples or 100)
    settings.register_profile("untimed", untimed)
    settings.load_profile("untimed")

    chosen_settings = "_hypothesis_internal_use_settings"

    def pytest_itemcollected(item: pytest.Item) -> None:
        """Limits the examples of tests that choose their number, too. Hypothesis has no public way to do so."""
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        chosen = getattr(test, chosen_settings, None)
        if examples and chosen and chosen.max_examples > examples:
            setattr(test, chosen_settings, settings(chosen, max_examples=examples))


@pytest.fixture
def server() -> Iterator[GraphQLServer]:
    """A GraphQL server on loopback; set its `respond` before asking it."""
    with serving(lambda request: Answer(b"the test set no answer", status=500)) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hides the user's own server, key, settings and netrc from every test, and proxies from loopback."""
    for name in ("API_KEY", "APP_URL", "BASE_URL", "DIR", "ENTITY", "PROJECT"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    nowhere = tmp_path_factory.getbasetemp() / "no-settings"
    monkeypatch.setenv("NETRC", str(nowhere / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(nowhere))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
