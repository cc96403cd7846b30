"""The project of the documentation, on a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.docs_project import write_workspace
from tests.support.paths import EXAMPLE
from tests.support.server_process import serving
from tests.support.wandb_client import client_environment


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the code of pages runs."""
    folder = tmp_path_factory.mktemp("docs")
    write_workspace(folder)
    return folder


@pytest.fixture(scope="module")
def environment(workspace: Path) -> Iterator[dict[str, str]]:
    """The environment of the code of pages: a server of the project, and the commands of this environment."""
    with serving(workspace / "wandb", EXAMPLE) as server:
        made = client_environment(server.url, workspace / "home")
        made |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "MPLBACKEND": "agg", "COLUMNS": "100"}
        made["HISTSCAN_CACHE_DIR"] = str(workspace / "cache")
        if find_spec("torch") is None:
            made["PYTHONPATH"] = str(Path(__file__).parent / "stand_ins")
        yield made
