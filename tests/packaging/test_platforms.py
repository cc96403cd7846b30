"""Systems, processors and releases of Python: what is not supported says so in one line, and what is has wheels."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

WINDOWS = "histscan does not support Windows: install it in the Windows Subsystem for Linux (wsl --install). "
PROCESSOR = "histscan's core needs a 64-bit little-endian processor, such as x86-64 and ARM64"

BUILD = """
import runpy
import sys
import Cython.Build
import setuptools.command.build_ext
sys.argv = ["setup.py", "--quiet", "build_ext", "--build-lib", sys.argv[1], "--build-temp", sys.argv[1]]
sys.{attribute} = {value!r}
runpy.run_path("setup.py", run_name="__main__")
"""


def run_program(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [("platform", "win32", WINDOWS), ("byteorder", "big", PROCESSOR), ("maxsize", 2**31 - 1, PROCESSOR)],
)
def test_a_build_says_what_is_not_supported(attribute: str, value: object, message: str, tmp_path: Path) -> None:
    """Before anything is translated or compiled."""
    pytest.importorskip("Cython")
    finished = run_program(BUILD.format(attribute=attribute, value=value), str(tmp_path))
    assert finished.returncode != 0
    assert [line.startswith(f"error: {message}") for line in finished.stderr.splitlines()] == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "module", ["histscan", "histscan.common.ownership", "histscan.many.mirrors.lock", "histscan.__main__"]
)
def test_an_import_says_that_windows_is_not_supported(module: str) -> None:
    """Before any module is imported that Windows does not have."""
    program = f"import sys; sys.platform = 'win32'; sys.modules.update(fcntl=None, pwd=None); import {module}"
    finished = run_program(program)
    assert finished.stderr.splitlines()[-1].startswith(f"ImportError: {WINDOWS}")


def test_every_python_that_is_named_has_wheels() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text)
    (builds,) = re.findall(r'^build = "(.*)"$', text, re.MULTILINE)
    assert builds.split() == [f"cp3{release}-*" for release in named]
    (command,) = re.findall(r'^test-command = "python \{project\}/(.*)"$', text, re.MULTILINE)
    assert (ROOT / command).exists()
