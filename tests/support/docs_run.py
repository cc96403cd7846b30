"""Runs the code of a page in a folder of its own, with the project of the documentation on a server."""

from __future__ import annotations

import re
import threading
from importlib.util import find_spec
from pathlib import Path

from tests.support.docs_blocks import Block, Unit, run_blocks
from tests.support.docs_project import LIVE_RUN, finish_run, write_workspace
from tests.support.server_process import serving

__all__ = ["NOT_INSTALLED", "is_missing", "run_unit"]

NOT_INSTALLED = "Dask or Ray is not installed: `make test-clusters` runs this"

_OPTIONAL = ("dask", "ray")


def is_missing(block: Block) -> bool:
    """Returns True if a block imports a package that only `make test-clusters` installs, and that is not there."""
    imports = " ".join(re.findall(r"^\s*(?:from|import) (.+)$", block.code, re.M))
    return any(find_spec(name) is None and re.search(rf"\b{name}\b", imports) for name in _OPTIONAL)


def run_unit(unit: Unit, folder: Path, environment: dict[str, str]) -> str:
    """Runs blocks.

    Args:
        unit: The blocks.
        folder: The folder in which they run, which gets `wandb/`, `resumed/` and `examples/`.
        environment: The environment of the process.

    Returns:
        What is wrong; empty if nothing is.
    """
    logs = write_workspace(folder)
    if not any(LIVE_RUN in block.code or "latest-run" in block.code for block in unit.blocks):
        return run_blocks(unit, folder, environment)
    # The run goes on while the code follows it.
    with serving(logs) as server:
        ending = threading.Timer(2, finish_run, [logs])
        ending.start()
        wrong = run_blocks(unit, folder, environment | {"WANDB_BASE_URL": server.url})
        ending.join()
    return wrong
