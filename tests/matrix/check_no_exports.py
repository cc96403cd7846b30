"""A server without exported files: pages are read instead, in the release's own way."""

from __future__ import annotations

from typing import Any

import pytest

from histscan.installing.installation import installed
from tests.matrix.conftest import Open
from tests.matrix.outcomes import outcome
from tests.support.server_process import Server

SERVER = "unexported"


@pytest.mark.parametrize("source", ["parquet", "auto"])
@pytest.mark.parametrize("arguments", [{}, {"keys": ["_step", "loss"]}, {"min_step": 100, "max_step": 300}])
def test_pages_are_read_instead(open_run: Open, server: Server, source: Any, arguments: dict[str, Any]) -> None:
    run = open_run("mixed")
    with installed():
        expected = outcome(run, "scan_history", arguments, any_order=True)
    assert len(expected.rows) >= 200
    assert not expected.error
    server.forget_traffic()
    with installed(source=source):
        found = outcome(run, "scan_history", arguments, any_order=True)
    assert found == expected
    # "auto" reads one or two pages without looking for files.
    is_short = source == "auto" and "max_step" in arguments
    assert server.traffic()["operations"].get("ExportedFiles", 0) == (0 if is_short else 1)
