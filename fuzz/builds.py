"""Builds the targets in C++, and says how targets are started."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from fuzz.targets import FOLDER, HEADER_TARGETS

__all__ = ["WORK", "BuildError", "compile_program", "environment_of", "program_of"]

ROOT = FOLDER.parent
WORK = ROOT / "out" / "fuzz"
"""For all that is not kept: programs, growing corpora, what failed."""

_COMPILER = "clang++"
_FLAGS = (
    *("-std=c++17", "-O1", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"),
)


class BuildError(Exception):
    """A target cannot be built; the message says why."""


def program_of(name: str) -> Path:
    """Builds a target if it is older than its sources, and returns the program that runs it.

    Args:
        name: The target.

    Raises:
        BuildError: The compiler failed.
    """
    program = WORK / "programs" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    if name not in HEADER_TARGETS:
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fuzz.run_target "$0" "$@"\n')
        program.chmod(0o755)
        return program
    sources = [HEADER_TARGETS[name], *(FOLDER / "headers").glob("*.hpp"), *(ROOT / "_core").rglob("*.hpp")]
    if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        compile_program(HEADER_TARGETS[name], program, (_COMPILER, *_FLAGS))
    return program


def compile_program(source: Path, program: Path, compiler: Sequence[str], *others: Path) -> None:
    """Compiles a target in C++.

    Args:
        source: The target.
        program: The program to write.
        compiler: The compiler's command and flags.
        others: More sources.

    Raises:
        BuildError: The compiler failed.
    """
    includes = [f"-I{ROOT / '_core'}", f"-I{FOLDER / 'headers'}", f"-isystem{sysconfig.get_path('include')}"]
    command = [*compiler, *includes, str(source), *map(str, others), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise BuildError(f"{' '.join(command)}\n{built.stderr}")


def environment_of(name: str) -> dict[str, str]:
    """Returns the environment of a target's process.

    The address sanitizer has to be loaded before Python is, and libFuzzer with it: atheris has a library of both.

    Args:
        name: The target.
    """
    environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=0"}
    if name not in HEADER_TARGETS:
        packages = Path(sysconfig.get_path("platlib"))
        environment["LD_PRELOAD"] = str(packages / "asan_with_fuzzer.so")
        environment["PYTHONMALLOC"] = "malloc"
    return environment
