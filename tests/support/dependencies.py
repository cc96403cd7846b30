"""Environments with the lowest and the newest releases of what histscan needs, inside the checkout.

An environment is created when it is first needed, and again when what belongs into it changes; the newest releases
are upgraded each time. The core is compiled for each of them, which takes minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.support.paths import ROOT

__all__ = ["ENVIRONMENTS", "POLARS_RELEASES", "find_python", "python_of", "run_checks", "with_polars"]

ENVIRONMENTS = {"lowest": "3.10", "newest": "3.13"}
"""The environments, and the release of Python that each has."""

POLARS_RELEASES = ("1.25.2", "1.31.0", "1.36.1", "2.0.0")
"""Releases of polars that differ in how they read Arrow: the oldest one, and those on both sides of changes."""

EXTRAS = ("arrow", "pandas", "polars", "plot", "serve", "zstd")
FURTHER = ("duckdb>=1.1", "pytest>=8")


def find_python(release: str) -> str | None:
    """Finds an interpreter.

    Args:
        release: The release, such as ``"3.10"``.

    Returns:
        Its path; None if none is installed.
    """
    if sys.version_info[:2] == tuple(map(int, release.split("."))):
        return sys.executable
    found = sorted(Path.home().glob(f".pyenv/versions/{release}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{release}")


def lowest(requirement: str) -> str:
    """Returns a requirement of the lowest release that another one allows.

    Args:
        requirement: The requirement: ``"gql>=4.0,<5"``.
    """
    return re.sub(r">=([^,;\s]+)(,[^;]*)?", r"==\1", requirement)


def requirements() -> list[str]:
    """Returns what histscan needs with its extras, from ``pyproject.toml``."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(r"^dependencies = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    listed += [found for extra in EXTRAS for found in re.findall(rf"^{extra} = \[(.*)\]", text, re.MULTILINE)]
    named = [item for part in listed for item in re.findall(r'"([^"]+)"', part)]
    return list(dict.fromkeys([*named, *FURTHER]))


@cache
def python_of(name: str) -> Path:
    """Returns the interpreter of an environment, which has histscan as it was at the first call.

    Args:
        name: One of `ENVIRONMENTS`.

    Raises:
        subprocess.CalledProcessError: The environment can't be made.
    """
    base = find_python(ENVIRONMENTS[name])
    assert base is not None, f"Python {ENVIRONMENTS[name]} is not installed"
    folder = ROOT / ".venvs" / f"dependencies-{name}"
    python = folder / "bin" / "python"
    wanted = requirements()
    if name == "lowest":
        wanted = [item if item.startswith("pytest") else lowest(item) for item in wanted]
    stamp = folder / ".requirements"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not stamp.exists() or stamp.read_text() != "\n".join(wanted):
        subprocess.run([base, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([*pip, *wanted], check=True)
        stamp.write_text("\n".join(wanted))
    elif name == "newest":
        subprocess.run([*pip, "--upgrade", "--upgrade-strategy=eager", *wanted], check=True)
    subprocess.run([*pip, "--no-deps", "--force-reinstall", str(ROOT)], check=True)
    return python


def with_polars(python: Path, release: str) -> str:
    """Installs a release of polars into a folder of its own.

    Args:
        python: The interpreter that is to use it.
        release: The release.

    Returns:
        The folder, for ``PYTHONPATH``.
    """
    folder = python.parents[1] / f"polars-{release}"
    if not folder.exists():
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(folder), f"polars=={release}"], check=True)
    return str(folder)


def run_checks(python: Path, *checks: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the checks of ``tests/dependencies`` in an environment.

    Args:
        python: The environment's interpreter.
        checks: Names of files in the folder.
        path: Folders for ``PYTHONPATH``.

    Returns:
        How pytest ended, and what it printed.
    """
    folder = ROOT / "tests" / "dependencies"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Not in the checkout, where `histscan` would be the sources without a core for this Python.
    command = [
        str(python),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        f"--rootdir={folder}",
        "--noconftest",
    ]
    return subprocess.run(
        [*command, "--import-mode=importlib", *(str(folder / check) for check in checks)],
        cwd=folder,
        env={**environment, "PYTHONPATH": path} if path else environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
