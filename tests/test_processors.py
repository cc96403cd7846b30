"""The core on processors without AVX2, as far as its code for them is another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(os.environ.get("HISTSCAN_BASELINE", "") == "1", reason="is that processor already")
def test_processors_with_shorter_vectors() -> None:
    here = os.path.dirname(__file__)
    names = ("columns_numbers", "columns_repeating", "columns_known_items", "graphql_quoted")
    modules = [os.path.join(here, f"test_{name}.py") for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *modules]
    ran = subprocess.run(
        command,
        env={**os.environ, "HISTSCAN_BASELINE": "1"},
        cwd=os.path.dirname(here),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
