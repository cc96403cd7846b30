"""histscan works with the lowest and the newest releases of what it needs, on the oldest and the newest Python.

The checks are in `tests/dependencies`. Making the environments takes minutes, so they run for `make test-dependencies`.
"""

from __future__ import annotations

import os

import pytest

from tests.support.dependencies import (
    ENVIRONMENTS,
    POLARS_RELEASES,
    find_python,
    python_of,
    requirements,
    run_checks,
    with_polars,
)

slow = pytest.mark.skipif(
    os.environ.get("HISTSCAN_DEPENDENCIES") != "all", reason="takes minutes: make test-dependencies"
)
CHECKS = ("check_frames.py", "check_exports.py", "check_readme.py")


@slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_lowest_and_newest_releases(name: str) -> None:
    if find_python(ENVIRONMENTS[name]) is None:
        pytest.skip(f"Python {ENVIRONMENTS[name]} is not installed")
    finished = run_checks(python_of(name), *CHECKS)
    assert finished.returncode == 0, finished.stdout


@slow
@pytest.mark.parametrize("release", POLARS_RELEASES)
def test_releases_of_polars(release: str) -> None:
    if find_python(ENVIRONMENTS["newest"]) is None:
        pytest.skip(f"Python {ENVIRONMENTS['newest']} is not installed")
    python = python_of("newest")
    finished = run_checks(python, "check_frames.py", "check_exports.py", path=with_polars(python, release))
    assert finished.returncode == 0, finished.stdout


def test_every_dependency_has_a_lowest_release() -> None:
    """A floor that is not written down can't be tested."""
    found = requirements()
    assert len(found) > 15
    assert all(">=" in requirement for requirement in found)
