"""Libraries that let calls of the C library fail, compiled for the tests that load them before it (LD_PRELOAD)."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.support.paths import ROOT

__all__ = ["build_library"]

PROGRAMS = ROOT / "tests" / "faults" / "programs"


def build_library(name: str, folder: Path, *, needs_python: bool = False) -> Path:
    """Compiles a library; skips the test where that is impossible.

    Args:
        name: Which of the programs.
        folder: Where to put the library.
        needs_python: True if it is a module of Python, too.

    Returns:
        The library.
    """
    compiler = shutil.which("gcc") or shutil.which("clang")
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the calls are replaced in glibc only")
    if compiler is None:
        pytest.skip("gcc and clang are not installed")
    library = folder / f"{name}.so"
    includes = [f"-I{sysconfig.get_path('include')}"] if needs_python else []
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    command = [compiler, *flags, *includes, str(PROGRAMS / f"{name}.c"), "-o", str(library), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if needs_python and "Python.h" in built.stderr:
        pytest.skip("the headers of Python are not installed")
    assert built.returncode == 0, built.stderr
    return library
