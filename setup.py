"""Builds the compiled core; everything else about the package is in pyproject.toml.

Two environment variables change what is built:

``HISTSCAN_DEBUG=1``
    Bounds checks, ``assert`` statements, line tracing and an annotated page per module.
``HISTSCAN_SANITIZE=address,undefined``
    The named sanitizers of the C++ compiler (``make sanitize`` and ``make fuzz`` run the core under them).

A failed compile fails the installation: there is no slower twin to fall back to. Without a compiler, the error says
what to install, before anything is translated.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, PlatformError

CORE = Path("src/histscan/_core")

# What the core needs of a compiler and its library: doubles in std::to_chars are the newest part.
CXX_SAMPLE = """\
#include <charconv>
#include <optional>
char *sample(char *begin, char *end, std::optional<double> value) {
    if constexpr (sizeof(void *) >= 4) return std::to_chars(begin, end, value.value_or(0.0)).ptr;
}
"""
PYTHON_SAMPLE = "#include <Python.h>\n"
NO_WINDOWS = (
    "histscan does not support Windows: install it in the Windows Subsystem for Linux (wsl --install). "
    "docs/reliability.md lists what is missing"
)
WRONG_PROCESSOR = "histscan's core needs a 64-bit little-endian processor, such as x86-64 and ARM64"
NO_COMPILER = (
    "histscan's core needs a C++17 compiler: GCC 11, clang 14 or newer, e.g. apt install g++ (Debian, Ubuntu), "
    "dnf install gcc-c++ (Fedora), xcode-select --install (macOS)"
)
NO_HEADERS = (
    "histscan's core needs the headers of Python, e.g. apt install python3-dev (Debian, Ubuntu), "
    "dnf install python3-devel (Fedora)"
)


class BuildCore(build_ext):  # type: ignore[misc]
    """Compiles only what has changed for a checkout, and everything for a wheel.

    pip gives an editable installation empty folders to build in, and all would be compiled each time it runs.
    """

    def finalize_options(self) -> None:
        """Chooses where to build, and whether what is there can be used."""
        super().finalize_options()
        if self.inplace:
            kept = build_folder() / sys.implementation.cache_tag
            self.build_temp = str(kept / "objects")
            self.build_lib = str(kept / "libraries")
        else:
            # What is in build/ may be of another kind, such as with sanitizers, and would be packed as it is.
            self.force = True

    def build_extensions(self) -> None:
        """Translates and compiles the core, once it is known that the compiler can.

        Raises:
            PlatformError: The system is not supported, or there is no compiler that can compile the core.
        """
        require_system()
        require_compiler(self.compiler)
        translated = {extension.name: extension.sources for extension in translate(self.extensions)}
        for extension in self.extensions:
            extension.sources = translated[extension.name]
            if not self.inplace:
                extension.extra_link_args = [*extension.extra_link_args, *strip_args()]
        super().build_extensions()


def is_debug() -> bool:
    """Returns True if the environment asks for a build for debugging."""
    return os.environ.get("HISTSCAN_DEBUG", "") not in ("", "0")


def sanitizers() -> str:
    """Returns the sanitizers that the environment asks for, as the compiler's option takes them."""
    return os.environ.get("HISTSCAN_SANITIZE", "")


def build_folder() -> Path:
    """Returns the folder for the files of this kind of build."""
    return Path("build", "debug" if is_debug() else "sanitize" if sanitizers() else "release")


def core_extensions() -> list[Extension]:
    """Describes one extension for each ``.pyx`` of the core."""
    debug, checks = is_debug(), sanitizers()
    compile_args = ["-std=c++17", "-O1" if debug or checks else "-O3", "-fvisibility=hidden", "-Wno-unused-function"]
    # Where the processor has one instruction for a * b + c, as ARM64 has, its last bit would differ from x86-64.
    compile_args.append("-ffp-contract=off")
    link_args: list[str] = []
    macros: list[tuple[str, str | None]] = []
    # Python's own flags have -g, which makes a release take a third longer to compile and its files six times as large.
    compile_args.append("-g" if debug or checks else "-g0")
    if debug:
        compile_args.append("-UNDEBUG")
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("_GLIBCXX_ASSERTIONS", "1")]
    if checks:
        sanitize = [f"-fsanitize={checks}", "-fno-sanitize-recover=undefined"]
        if "fuzzer" in checks:
            # The runtime in atheris has nothing for these two.
            sanitize.append("-fno-sanitize=function,vptr")
        compile_args += ["-fno-omit-frame-pointer", *sanitize]
        link_args += sanitize
    # The flags are in this file.
    depends = ["setup.py", *(str(path) for pattern in ("*.pxd", "*.hpp") for path in sorted(CORE.rglob(pattern)))]
    return [
        Extension(
            ".".join(["histscan._core", *source.relative_to(CORE).with_suffix("").parts]),
            [str(source)],
            language="c++",
            include_dirs=[str(CORE)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            define_macros=macros,
            depends=depends,
        )
        for source in sorted(CORE.rglob("*.pyx"))
    ]


def strip_args() -> list[str]:
    """Returns the linker's arguments that leave out symbols: profilers need them in a checkout, a wheel does not."""
    if is_debug() or sanitizers():
        return []
    return ["-Wl,-x"] if sys.platform == "darwin" else ["-Wl,-s"]


def translate(extensions: list[Extension]) -> list[Extension]:
    """Translates the core to C++.

    Args:
        extensions: The extensions, with Cython's sources.

    Returns:
        The extensions, with C++ sources.
    """
    debug = is_debug()
    translated: list[Extension] = cythonize(
        extensions,
        compiler_directives={
            "language_level": 3,
            "boundscheck": debug,
            "wraparound": False,
            "initializedcheck": debug,
            "cdivision": True,
            "embedsignature": True,
            "linetrace": debug,
        },
        annotate=debug,
        build_dir=str(build_folder()),
        nthreads=os.cpu_count() or 1,
    )
    return translated


def require_system() -> None:
    """Checks that the core supports this system and processor.

    Raises:
        PlatformError: It does not.
    """
    if sys.platform == "win32":
        raise PlatformError(NO_WINDOWS)
    if sys.byteorder != "little" or sys.maxsize < 2**32:
        raise PlatformError(WRONG_PROCESSOR)


def require_compiler(compiler: Any) -> None:
    """Checks that the core can be compiled, because the errors of a compiler do not say what is missing.

    Args:
        compiler: The compiler of setuptools.

    Raises:
        PlatformError: It cannot; the message says what to install.
    """
    for sample, message in ((CXX_SAMPLE, NO_COMPILER), (PYTHON_SAMPLE, NO_HEADERS)):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "sample.cpp")
            source.write_text(sample)
            try:
                compiler.compile([str(source)], output_dir=folder, extra_postargs=["-std=c++17"])
            except CCompilerError as error:
                raise PlatformError(f"{message} ({error})") from None


def require_macos() -> None:
    """Compiles for macOS 13.3 or later, the first to have `std::to_chars` for doubles."""
    configured = sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")
    if configured and tuple(map(int, str(configured).split("."))) < (13, 3):
        os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", "13.3")


def build() -> None:
    """Runs setuptools with the core's extensions."""
    require_macos()
    setup(
        ext_modules=core_extensions(),
        cmdclass={"build_ext": BuildCore},
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )


build()
