"""Fixtures of the matrix tests, which run with any release of wandb."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from histscan.installing.installation import uninstall
from histscan.sources import cleanup
from tests.support.matrix_runs import SERVERS, WORKSPACE, run_path
from tests.support.server_process import Server

Open = Callable[[str], Any]


def pytest_report_header() -> str:
    return f"wandb {wandb.__version__}"


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine() -> None:
    """Overrides the fixture that hides the user's settings: this environment was made for these tests."""


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Restores wandb's own classes after each test, and collects its scans."""
    yield
    uninstall()
    gc.collect()
    assert cleanup.flush(timeout=10)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The server whose runs `open_run` opens."""
    return Server(json.loads(os.environ[SERVERS])[request.module.SERVER])


@pytest.fixture(scope="module")
def open_run(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens runs on the server that `SERVER` of the test's module selects."""
    name = request.module.SERVER
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_BASE_URL", json.loads(os.environ[SERVERS])[name])
        # wandb-core caches downloaded files by the names of their runs.
        patch.setenv("WANDB_CACHE_DIR", str(Path(os.environ[WORKSPACE]) / name))
        # Ends wandb-core, which was started for another server.
        wandb.teardown()
        api = wandb.Api()
        yield lambda run: api.run(run_path(run))
        wandb.teardown()
