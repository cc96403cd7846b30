"""The core on processors without AVX-512, or without AVX2, as far as its code for them is another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.skipif(os.environ.get("HISTSCAN_BASELINE", "") in ("AVX2", "1"), reason="is such a processor already")
@pytest.mark.parametrize("baseline", ["AVX2", "1"])
def test_processors_with_shorter_vectors(baseline: str) -> None:
    names = ("columns_numbers", "columns_repeating", "columns_known_items", "graphql_quoted", "string_edges")
    modules = [str(path) for name in names for path in ROOT.glob(f"tests/*/test_{name}.py")]
    assert len(modules) == len(names)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *modules]
    ran = subprocess.run(
        command,
        env={**os.environ, "HISTSCAN_BASELINE": baseline},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
