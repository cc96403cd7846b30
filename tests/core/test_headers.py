"""The core's headers with every compiler that is installed: they compile without warnings, and all vectors agree."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.dependencies import find_python
from tests.support.paths import ROOT

CORE = ROOT / "_core"
PROGRAM = ROOT / "tests" / "core" / "programs" / "check_vectors.cc"
FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{CORE}")

#: Names of builds, and the commands of their compilers. That of AArch64 runs on this machine by emulation.
BUILDS = {
    "gcc": ("g++",),
    "gcc, plain vectors": ("g++", "-DHISTSCAN_PLAIN_VECTORS"),
    "clang": ("clang++",),
    "clang, libc++": ("clang++", "-stdlib=libc++"),
    "aarch64": ("aarch64-linux-gnu-g++", "-static"),
}


@functools.cache
def why_missing(build: str) -> str:
    """Why a build can't be made on this machine; nothing if it can."""
    compiler, *options = BUILDS[build]
    if shutil.which(compiler) is None:
        return f"{compiler} is not installed"
    # A standard library of its own may be missing.
    command = [compiler, *options, "-x", "c++", "-std=c++17", "-fsyntax-only", "-"]
    tried = subprocess.run(command, input="#include <vector>\n", text=True, capture_output=True, check=False)
    return "" if tried.returncode == 0 else f"{' '.join(BUILDS[build])} does not compile: {tried.stderr.strip()[:200]}"


def skip_if_missing(build: str) -> None:
    if reason := why_missing(build):
        pytest.skip(reason)


def emulator(build: str) -> list[str]:
    """The command that runs a build's programs here; skips the test if there is none."""
    if build != "aarch64" or platform.machine() == "aarch64":
        return []
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        if path := shutil.which(name):
            return [path]
    pytest.skip("qemu-aarch64 is not installed: programs for AArch64 can't run on this machine")


def run(command: list[str], **environment: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return ran.stdout


@pytest.mark.parametrize("build", [build for build in BUILDS if "plain" not in build])
def test_headers_compile_without_warnings(build: str, tmp_path: Path) -> None:
    skip_if_missing(build)
    headers = {path.relative_to(CORE): path.read_text() for path in sorted(CORE.rglob("*.hpp"))}
    # Each processor has vectors of its own, which vectors.hpp includes; and Python's headers are this machine's.
    foreign = platform.machine() != "aarch64" and build == "aarch64"
    names = [
        name
        for name, text in headers.items()
        if not name.name.startswith("vectors_") and not (foreign and "<Python.h>" in text)
    ]
    assert len(names) > 20
    source = tmp_path / "all.cpp"
    source.write_text("".join(f'#include "{name}"\n' for name in names))
    includes = [] if foreign else [f"-isystem{sysconfig.get_path('include')}"]
    run([*BUILDS[build], *FLAGS, *includes, "-fsyntax-only", str(source)])


def free_threaded_flags(release: str) -> list[str]:
    """The headers of a Python that has the GIL: those of one that has not differ by this macro only."""
    skip_if_missing("gcc")
    python = find_python(release)
    if python is None:
        pytest.skip(f"Python {release} is not installed")
    include = run([python, "-c", "import sysconfig; print(sysconfig.get_path('include'))"]).strip()
    return [f"-isystem{include}", "-DPy_GIL_DISABLED=1", "-fsyntax-only"]


@pytest.mark.parametrize("release", ["3.13", "3.14"])
def test_headers_compile_for_free_threaded_python(release: str, tmp_path: Path) -> None:
    flags = free_threaded_flags(release)
    names = [path.relative_to(CORE) for path in sorted(CORE.rglob("*.hpp")) if "<Python.h>" in path.read_text()]
    assert names
    source = tmp_path / "all.cpp"
    source.write_text("".join(f'#include "{name}"\n' for name in names))
    run(["g++", *FLAGS, *flags, str(source)])


@pytest.mark.parametrize("module", ["columns/column_builder", "rows/scan"])
def test_critical_sections_compile_for_free_threaded_python(module: str, tmp_path: Path) -> None:
    pytest.importorskip("Cython")
    flags = free_threaded_flags("3.13")
    sources = ROOT / "src"
    source = tmp_path / "module.cpp"
    name = f"histscan._core.{module.replace('/', '.')}"
    pyx = sources / "histscan" / "_core" / f"{module}.pyx"
    run(
        [
            sys.executable,
            "-m",
            "cython",
            "-3",
            "--cplus",
            f"-I{sources}",
            "--module-name",
            name,
            str(pyx),
            "-o",
            str(source),
        ]
    )
    assert ".enter(" in source.read_text()
    run(["g++", "-std=c++17", "-Wall", "-Wno-unused-function", "-Werror", f"-I{CORE}", *flags, str(source)])


def test_only_two_interfaces_know_compilers_and_processors() -> None:
    words = (
        "__attribute__",
        "__builtin_",
        "_mm_",
        "_mm256_",
        "intrin.h",
        "arm_neon",
        "__SSE",
        "__x86",
        "__aarch",
        "__asm",
    )
    for path in CORE.rglob("*.hpp"):
        if not path.name.startswith(("compiler", "vectors")):
            assert [word for word in words if word in path.read_text()] == [], path


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ("-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__", "little-endian"),
        ("-U__SIZEOF_INT128__", "64-bit"),
    ],
)
def test_processors_that_are_not_supported(machine: str, reason: str, tmp_path: Path) -> None:
    skip_if_missing("gcc")
    source = tmp_path / "one.cpp"
    source.write_text('#include "bytes/compiler.hpp"\n')
    command = ["g++", f"-I{CORE}", "-fsyntax-only", "-Wno-builtin-macro-redefined", machine, str(source)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert f"#error \"histscan's core needs a {reason} processor" in ran.stderr


@functools.cache
def digest_of(build: str, folder: Path, baseline: str = "0") -> str:
    """Runs the program that checks the vectors, and returns the digest of its results."""
    program = folder / f"check {build}"
    if not program.exists():
        run([*BUILDS[build], *FLAGS, "-O1", str(PROGRAM), "-o", str(program)])
    return run([*emulator(build), str(program)], HISTSCAN_BASELINE=baseline)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.mark.parametrize("build", BUILDS)
def test_vectors_agree_with_loops_over_bytes(build: str, programs: Path) -> None:
    skip_if_missing(build)
    emulator(build)
    digest = digest_of(build, programs)
    assert len(digest.strip()) == 16
    assert digest_of(build, programs, baseline="AVX2") == digest
    assert digest_of(build, programs, baseline="1") == digest
    if not why_missing("gcc, plain vectors"):
        assert digest_of("gcc, plain vectors", programs) == digest


def test_zeros_are_not_read_beyond_the_end_of_the_text(programs: Path) -> None:
    skip_if_missing("gcc")
    source = programs / "zeros.cpp"
    source.write_text(
        """
        #include <cstdio>
        #include <cstring>
        #include <memory>
        #include "json/json_text.hpp"
        using namespace histscan;
        int main() {
            for (size_t zeros = 0; zeros < 60; ++zeros) {
                const size_t length = zeros + 2;
                std::unique_ptr<uint8_t[]> text(new uint8_t[length]);
                std::memset(text.get(), '0', length);
                text[1] = '.';
                Cursor cursor;
                Token token;
                open_cursor(&cursor, text.get(), length);
                const bool has_read = read_token(&cursor, &token);
                if (has_read != (zeros > 0) || (has_read && token.number != 0.0)) return 1;
            }
        }
        """
    )
    program = programs / "zeros"
    try:
        run(["g++", *FLAGS, "-fsanitize=address", str(source), "-o", str(program)])
    except AssertionError as error:
        if "cannot find" in str(error):
            pytest.skip("the address sanitizer is not installed")
        raise
    run([str(program)], ASAN_OPTIONS="detect_leaks=0")
