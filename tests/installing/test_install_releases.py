"""With histscan installed, each release of wandb, with its own client and wandb-core, gives the same rows.

The comparisons are in `tests/matrix`, and run in an environment with the release. All releases take some minutes, for
`make test-matrix`; the releases with the oldest and the newest way to read history are always tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from tests.support.releases import FURTHER_RELEASES, RELEASES, matrix_servers, python_of, run_matrix
from tests.support.server_process import ServerProcess

ALWAYS = ("0.26.1", "0.31.0")
CHOSEN = (*RELEASES, *FURTHER_RELEASES) if os.environ.get("HISTSCAN_MATRIX") == "all" else ALWAYS


@pytest.fixture(scope="module")
def servers() -> Iterator[Mapping[str, ServerProcess]]:
    with matrix_servers() as running:
        yield running


@pytest.mark.parametrize("release", CHOSEN)
def test_same_history_with_histscan_installed(release: str, servers: Mapping[str, ServerProcess]) -> None:
    finished = run_matrix(python_of(release), servers)
    assert finished.returncode == 0, finished.stdout
    assert f"\nwandb {release}\n" in finished.stdout
